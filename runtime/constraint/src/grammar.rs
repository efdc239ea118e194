//! Constraints in the form that `llguidance` compiles.

use llguidance::JsonCompileOptions;
use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use runtime_generation::Constraint;
use serde_json::Value;

use crate::{Error, regex};

/// White space between the parts of JSON: a space, or a line break with the indentation behind it. More would let a
/// model that does not know how to go on write white space for ever.
const WHITE_SPACE: &str = r" |\r?\n[ \t]{0,24}";

/// What a schema itself can set in this field, the library's options; they go before [`WHITE_SPACE`].
const OPTIONS: &str = "x-guidance";

/// The name of the grammar behind a leading space.
const INNER: &str = "text";

/// The grammar of a constraint. With `behind_space`, its texts begin with a space more, for the decoder to drop.
pub(super) fn grammar(constraint: &Constraint, behind_space: bool) -> TopLevelGrammar {
    let mut inner = match constraint {
        Constraint::JsonSchema(schema) => GrammarWithLexer::from_json_schema(with_options(schema)),
        Constraint::Regex(regex) => GrammarWithLexer::from_regex(without_anchors(regex)),
        Constraint::Choices(choices) => GrammarWithLexer::from_lark(alternatives(choices)),
        Constraint::Grammar(grammar) => GrammarWithLexer::from_lark(grammar.clone()),
    };
    if !behind_space {
        return TopLevelGrammar::from_grammar(inner);
    }
    inner.name = Some(INNER.to_owned());
    let outer = GrammarWithLexer::from_lark(format!("start: \" \" @{INNER}"));
    TopLevelGrammar { grammars: vec![outer, inner], max_tokens: None }
}

/// Bytes of a regular expression or a grammar, at most: rules that lead to each other take a stack to compile.
const LONGEST: usize = 1 << 20;

/// What the library would pass over, and what it would tell of a form of its own.
///
/// # Errors
/// Where a constraint has no text, is too long, or no regular expression.
pub(super) fn check(constraint: &Constraint) -> Result<(), Error> {
    let name = constraint.name();
    let refused = |reason: String| Err(Error::Refused { name, reason, hint: None });
    match constraint {
        Constraint::Choices(choices) if choices.is_empty() => refused("there is no choice".to_owned()),
        Constraint::Choices(choices) if choices.iter().any(String::is_empty) => refused("a choice is empty".to_owned()),
        Constraint::Regex(text) | Constraint::Grammar(text) if text.len() > LONGEST => Err(Error::TooLarge { name }),
        Constraint::Regex(regex) => regex::check(regex).or_else(refused),
        _ => Ok(()),
    }
}

/// Backslashes that a text ends with.
fn escapes(text: &str) -> usize {
    text.chars().rev().take_while(|char| *char == '\\').count()
}

fn with_options(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema
        && !fields.contains_key(OPTIONS)
    {
        let options =
            JsonCompileOptions { whitespace_pattern: Some(WHITE_SPACE.to_owned()), ..JsonCompileOptions::default() };
        options.apply_to(&mut schema);
    }
    schema
}

/// The whole text is matched in any case, and the library knows no anchors.
fn without_anchors(regex: &str) -> &str {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    regex.strip_suffix('$').filter(|before| escapes(before).is_multiple_of(2)).unwrap_or(regex)
}

/// One terminal, so that what several choices begin with is one way to go.
fn alternatives(choices: &[String]) -> String {
    // As JSON; of what that leaves as it is, the library's syntax does not have this.
    let quoted = |choice: &String| Value::from(choice.as_str()).to_string().replace('\u{7f}', "\\u007f");
    let quoted: Vec<String> = choices.iter().map(quoted).collect();
    format!("start: CHOICE\nCHOICE: {}", quoted.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_go_but_not_what_looks_like_them() {
        let cases = [("^a$", "a"), ("a", "a"), (r"a\$", r"a\$"), (r"a\\$", r"a\\"), ("[^a]$", "[^a]"), ("^", "")];
        for (regex, expected) in cases {
            assert_eq!(without_anchors(regex), expected, "{regex}");
        }
    }
}
