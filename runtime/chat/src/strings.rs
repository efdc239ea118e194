//! The methods of Python's strings.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::Tuple;
use minijinja::value::from_args;
use minijinja::{Error, ErrorKind, Value};

use crate::budget::{count, spend, spend_items};
use crate::cases::plain;
use crate::methods::{Arguments, invalid, text, unknown};
use crate::printf::refuse_wide;
use crate::python::is_space;

/// What a method of a string gives.
pub(crate) fn string(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    if method == "format" {
        args.iter().try_for_each(count)?;
    }
    if let Some(answer) = plain(this, method) {
        let () = from_args(args)?;
        return Ok(answer);
    }
    let most = if method == "format" { usize::MAX } else { 4 };
    let arguments = Arguments::new(args, most)?;
    let takes_names = ["split", "rsplit", "splitlines", "expandtabs", "format"].contains(&method);
    if arguments.names.is_some() && !takes_names {
        return Err(invalid(format!("`{method}` takes no arguments by name")));
    }
    let needed = |index: usize| arguments.text(index, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument));
    Ok(match method {
        "strip" | "lstrip" | "rstrip" => {
            let chars = arguments.text(0, "")?;
            let among = |char: char| chars.as_ref().map_or_else(|| is_space(char), |chars| chars.contains(char));
            Value::from(match method {
                "strip" => this.trim_matches(among),
                "lstrip" => this.trim_start_matches(among),
                _ => this.trim_end_matches(among),
            })
        }
        "startswith" | "endswith" => {
            let parts = arguments.optional(0, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let (_, within) = within(this, &arguments)?;
            let is = |part: &Value| {
                let part = text(part)?;
                Ok(within.is_some_and(|within| {
                    if method == "startswith" { within.starts_with(&part) } else { within.ends_with(&part) }
                }))
            };
            if parts.is_tuple() {
                let any = parts.try_iter()?.map(|part| is(&part)).collect::<Result<Vec<bool>, Error>>()?;
                Value::from(any.contains(&true))
            } else {
                Value::from(is(&parts)?)
            }
        }
        "split" | "rsplit" => {
            let limit = arguments.integer(1, "maxsplit")?.and_then(|limit| usize::try_from(limit).ok());
            split(this, arguments.text(0, "sep")?.as_deref(), limit.unwrap_or(usize::MAX), method == "rsplit")?
        }
        "partition" | "rpartition" => {
            let separator = needed(0)?;
            let parts = match method {
                _ if separator.is_empty() => return Err(invalid("empty separator")),
                "partition" => this.split_once(&separator).map(|(a, b)| [a, &separator, b]).unwrap_or([this, "", ""]),
                _ => this.rsplit_once(&separator).map(|(a, b)| [a, &separator, b]).unwrap_or(["", "", this]),
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "replace" => {
            let (old, new) = (needed(0)?, needed(1)?);
            let many = if old.is_empty() { this.len() + 1 } else { this.len() / old.len() };
            spend(this.len().saturating_add(many.saturating_mul(new.len())))?;
            match arguments.integer(2, "count")?.and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Value::from(this.replacen(&old, &new, count)),
                None => Value::from(this.replace(&old, &new)),
            }
        }
        "removeprefix" => Value::from(this.strip_prefix(needed(0)?.as_str()).unwrap_or(this)),
        "removesuffix" => Value::from(this.strip_suffix(needed(0)?.as_str()).unwrap_or(this)),
        "count" => {
            let part = needed(0)?;
            let (_, within) = within(this, &arguments)?;
            Value::from(within.map_or(0, |within| within.matches(part.as_str()).count()))
        }
        "find" | "rfind" | "index" | "rindex" => {
            let part = needed(0)?;
            let (before, within) = within(this, &arguments)?;
            let find = |within: &str| if method.starts_with('r') { within.rfind(&part) } else { within.find(&part) };
            match within.and_then(|within| Some(before + within[..find(within)?].chars().count())) {
                Some(at) => Value::from(at),
                None if method.ends_with("find") => Value::from(-1),
                None => return Err(invalid("substring not found")),
            }
        }
        "join" => {
            let parts = arguments.optional(0, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            count(&parts)?;
            Value::from(joined(this, parts.try_iter()?.map(|part| text(&part)))?)
        }
        "splitlines" => {
            let keep = arguments.optional(0, "keepends")?.is_some_and(|keep| keep.is_true());
            Value::from(lines(this, keep))
        }
        "zfill" | "ljust" | "rjust" | "center" => {
            let width = arguments.integer(0, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            Value::from(filled(this, method, width, arguments.text(1, "")?.as_deref().unwrap_or(" "))?)
        }
        "expandtabs" => {
            let size = arguments.integer(0, "tabsize")?.map_or(8, |size| usize::try_from(size).unwrap_or_default());
            spend(this.matches('\t').count().saturating_mul(size))?;
            Value::from(untabbed(this, size))
        }
        "format" => {
            refuse_wide(this)?;
            Value::from(format(FormatStyle::StrFormat, this, args)?)
        }
        _ => return Err(unknown()),
    })
}

/// Texts with one between them.
pub(crate) fn joined(between: &str, parts: impl Iterator<Item = Result<String, Error>>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, part) in parts.enumerate() {
        let part = part?;
        let between = if index == 0 { "" } else { between };
        spend(between.len() + part.len())?;
        out.push_str(between);
        out.push_str(&part);
    }
    Ok(out)
}

/// The part of a text between the bounds that are the second and third argument, and the characters before it; `None`
/// where they are beyond it.
fn within<'a>(this: &'a str, arguments: &Arguments<'_>) -> Result<(usize, Option<&'a str>), Error> {
    let (start, stop) = (arguments.integer(1, "")?, arguments.integer(2, "")?);
    if start.is_none() && stop.is_none() {
        return Ok((0, Some(this)));
    }
    let length = i64::try_from(this.chars().count()).unwrap_or(i64::MAX);
    let bound = |bound: i64| if bound < 0 { (bound + length).max(0) } else { bound };
    let (start, stop) = (start.map_or(0, bound), stop.map_or(length, bound).min(length));
    let (Ok(from), Ok(many)) = (usize::try_from(start), usize::try_from(stop - start)) else { return Ok((0, None)) };
    let byte = |text: &str, place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    let rest = &this[byte(this, from)..];
    Ok((from, Some(&rest[..byte(rest, many)])))
}

/// `str.split` and `str.rsplit`.
fn split(this: &str, separator: Option<&str>, limit: usize, from_end: bool) -> Result<Value, Error> {
    let limit = limit.saturating_add(1);
    let parts: Vec<&str> = match (separator, from_end) {
        (Some(""), _) => return Err(invalid("empty separator")),
        (Some(separator), false) => this.splitn(limit, separator).collect(),
        (Some(separator), true) => this.rsplitn(limit, separator).collect(),
        (None, _) => words(this, limit, from_end),
    };
    spend_items(parts.len())?;
    let values = parts.into_iter().map(Value::from);
    Ok(Value::from(if from_end { values.rev().collect::<Vec<_>>() } else { values.collect() }))
}

/// Words between whitespace, `limit` at most, of which the last holds all that is left.
fn words(this: &str, limit: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = if from_end { this.trim_end_matches(is_space) } else { this.trim_start_matches(is_space) };
    while !rest.is_empty() {
        if parts.len() + 1 == limit {
            parts.push(if from_end { rest.trim_end_matches(is_space) } else { rest });
            break;
        }
        let (word, left) = if from_end {
            let at = rest.rfind(is_space).map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
            (&rest[at..], rest[..at].trim_end_matches(is_space))
        } else {
            let at = rest.find(is_space).unwrap_or(rest.len());
            (&rest[..at], rest[at..].trim_start_matches(is_space))
        };
        parts.push(word);
        rest = left;
    }
    parts
}

/// `str.splitlines`.
fn lines(this: &str, keep: bool) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut rest = this;
    let is_end = |char: char| {
        matches!(char, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let mark = match rest[end..].chars().next() {
            Some('\r') if rest[end..].starts_with("\r\n") => 2,
            char => char.map_or(0, char::len_utf8),
        };
        lines.push(Value::from(&rest[..if keep { end + mark } else { end }]));
        rest = &rest[end + mark..];
    }
    lines
}

/// `str.expandtabs`.
fn untabbed(this: &str, size: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for char in this.chars() {
        if char == '\t' {
            let missing = if size == 0 { 0 } else { size - column % size };
            out.extend(std::iter::repeat_n(' ', missing));
            column += missing;
        } else {
            out.push(char);
            column = if matches!(char, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    out
}

/// Characters that a text is filled up to, at most.
const WIDEST: usize = 100_000;

pub(crate) fn filled(this: &str, method: &str, width: i64, with: &str) -> Result<String, Error> {
    let width = usize::try_from(width).unwrap_or_default();
    if width > WIDEST {
        return Err(invalid(format!("a width above {WIDEST}")));
    }
    if with.chars().count() != 1 {
        return Err(invalid("the fill character must be exactly one character long"));
    }
    let missing = width.saturating_sub(this.chars().count());
    Ok(match method {
        "ljust" => format!("{this}{}", with.repeat(missing)),
        "rjust" => format!("{}{this}", with.repeat(missing)),
        "center" => {
            // CPython puts the odd one to the left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{this}{}", with.repeat(left), with.repeat(missing - left))
        }
        _ => {
            let (sign, digits) = this.split_at(usize::from(this.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    })
}
