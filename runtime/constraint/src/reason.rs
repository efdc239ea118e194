//! What the library says against a constraint, told in terms of what was written.

use runtime_generation::Constraint;

use crate::schema::{self, with_small_start};
use crate::{Error, regex};

/// Where the syntax of grammars is described.
const SYNTAX: &str = "the syntax is that of https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md";

/// What follows from a constraint and a vocabulary together.
pub(super) const NO_TOKEN: &str = "no token of the model's vocabulary can come next";

/// How the library says that a constraint is too much for it.
const TOO_LARGE: [&str; 8] = [
    "schema too large",
    "too big (limit",
    "fuel exhausted",
    "lexer precomputation failed",
    "Too many items",
    "symbols.len()",
    "LexerTooComplex",
    "ParserTooComplex",
];

/// The failure that `message`, the library's, tells of.
pub(super) fn error(constraint: &Constraint, message: &str) -> Error {
    let name = constraint.name();
    let message = shortened(message);
    let first = message.lines().next().unwrap_or_default().trim();
    if let Some(reason) = first.strip_prefix("Unsatisfiable schema: ") {
        return Error::Unsatisfiable { name, reason: reason.to_owned() };
    }
    if is_too_large(message) {
        return Error::TooLarge { name };
    }
    match constraint {
        Constraint::JsonSchema(schema) => schema::refused(schema, first),
        Constraint::Grammar(_) => grammar(name, message),
        Constraint::Regex(regex) => {
            let reason = regex::check(regex).err().unwrap_or_else(|| with_small_start(first));
            Error::Refused { name, reason, hint: None }
        }
        Constraint::Choices(_) => Error::Refused { name, reason: with_small_start(first), hint: None },
    }
}

/// Whether a message says that it is too much.
fn is_too_large(message: &str) -> bool {
    TOO_LARGE.iter().any(|part| message.contains(part))
}

/// Why a text cannot go on.
pub(super) fn why(error: &impl ToString) -> String {
    let message = error.to_string();
    let message = shortened(&message);
    match message.trim() {
        message if cannot_go_on(&message) => NO_TOKEN.to_owned(),
        message if is_too_large(message) => "it is too much work to find out what may come next".to_owned(),
        message => message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

/// Whether no token of the vocabulary can come next. The library says it by the name of a reason alone.
pub(super) fn cannot_go_on(error: &impl ToString) -> bool {
    matches!(shortened(&error.to_string()).trim(), "NoExtensionBias" | "NoExtension")
}

/// A message without what the library marks as left out.
fn shortened(message: &str) -> &str {
    let message = message.split("<non-verbose/>").next().unwrap_or_default();
    message.split("<backtrace>").next().unwrap_or_default()
}

/// Of a grammar: `at 2(4): what is wrong`, and an excerpt.
fn grammar(name: &'static str, message: &str) -> Error {
    let (place, what) = match placed(message) {
        Some((line, column, what)) => (format!("line {line}, column {column}: "), what),
        None => match message.strip_prefix("at EOF: ") {
            Some(what) => ("at its end: ".to_owned(), what),
            None => (String::new(), message),
        },
    };
    let first = what.lines().next().unwrap_or_default().trim();
    if first.ends_with("missing special token prefix") {
        return Error::NoToken { name, reason: "its vocabulary has no special tokens".to_owned() };
    }
    if ["unknown special token", "Token range end too large"].iter().any(|part| first.starts_with(part)) {
        let asked = first.split(';').next().unwrap_or_default();
        return Error::NoToken { name, reason: format!("{place}{}", with_small_start(asked)) };
    }
    let reason = match (first.split_once(" (in "), what.lines().find_map(|line| line.trim().strip_prefix("error: "))) {
        (Some((expression, _)), Some(why)) if expression.starts_with("invalid regex") => {
            format!("{expression}: {why}")
        }
        (Some((expression, _)), None) if what.contains("lookarounds") => {
            format!("{expression}: boundaries and anchors are not supported")
        }
        // The token that it was at is told by the place.
        _ => with_small_start(first.rsplit_once(" (at ").map_or(first, |(what, _)| what)),
    };
    let reason = match reason.as_str() {
        "no start rule found" => "there is no rule `start`, which is what a text is".to_owned(),
        _ => format!("{place}{reason}"),
    };
    Error::Refused { name, reason, hint: Some(SYNTAX.to_owned()) }
}

/// Line and column of `at 2(4): what`, or without the `at`, and the rest.
fn placed(message: &str) -> Option<(u32, u32, &str)> {
    let (place, what) = message.strip_prefix("at ").unwrap_or(message).split_once("): ")?;
    let (line, column) = place.split_once('(')?;
    Some((line.parse().ok()?, column.parse().ok()?, what))
}
