//! Filters of texts that minijinja has otherwise, or not at all.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]

use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, Value};

use crate::budget::spend;
use crate::filters::{argument, defined};
use crate::methods::invalid;
use crate::python::{self, is_space};
use crate::{markup, printf};

pub(crate) fn trim(value: &Value, chars: Option<String>) -> Result<String, Error> {
    let text = python::str(value)?;
    let among = |char: char| chars.as_ref().map_or_else(|| is_space(char), |chars| chars.contains(char));
    Ok(text.trim_matches(among).to_owned())
}

/// Python's `\w+`.
pub(crate) fn words(text: &str) -> usize {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).count()
}

/// `replace(s, old, new, count=None)`.
pub(crate) fn replace(value: &Value, old: &Value, new: &Value, many: Option<i64>) -> Result<Value, Error> {
    let (text, old, new) = (python::str(value)?, python::str(old)?, python::str(new)?);
    let places = if old.is_empty() { text.len() + 1 } else { text.len() / old.len() };
    spend(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(Value::from(match many.and_then(|many| usize::try_from(many).ok()) {
        Some(many) => text.replacen(&old, &new, many),
        None => text.replace(&old, &new),
    }))
}

/// `indent(s, width=4, first=False, blank=False)`.
pub(crate) fn indent(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    defined(value)?;
    let width = argument(places.first().cloned(), &names, "width")?;
    let first = argument(places.get(1).cloned(), &names, "first")?.is_some_and(|first| first.is_true());
    let blank = argument(places.get(2).cloned(), &names, "blank")?.is_some_and(|blank| blank.is_true());
    names.assert_all_used()?;
    let indentation = match width {
        None => "    ".to_owned(),
        Some(width) if width.as_str().is_some() => python::str(&width)?,
        Some(width) => {
            let width = width.as_i64().ok_or_else(|| invalid("the width of `indent` is a number or a string"))?;
            let width = usize::try_from(width).unwrap_or_default();
            spend(width)?;
            " ".repeat(width)
        }
    };
    // As in Jinja, a line break is added first, so that one at the end is kept.
    let text = python::str(value)? + "\n";
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop();
    spend(text.len().saturating_add(indentation.len().saturating_mul(lines.len())))?;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if if index == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// `format(text, *args, **kwargs)`, which takes arguments by place or by name.
pub(crate) fn format(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let text = python::str(value)?;
    let shown = |other: &Value| if value.is_safe() { markup::shown(other) } else { Ok(other.clone()) };
    let places: Vec<Value> = places.iter().map(shown).collect::<Result<_, _>>()?;
    let given: Vec<(String, Value)> = names
        .args()
        .map(|name| Ok((name.to_owned(), shown(&names.get::<Value>(name)?)?)))
        .collect::<Result<_, Error>>()?;
    match (given.is_empty(), places.is_empty()) {
        (true, _) => printf::formatted(&text, &places, None),
        (false, true) => printf::formatted(&text, &[], Some(&Value::from_pairs(given))),
        (false, false) => Err(invalid("`format` takes arguments by place or by name, not both")),
    }
}

/// `truncate(s, length=255, killwords=False, end='...', leeway=5)`.
pub(crate) fn truncate(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = |index: usize, name: &str| argument(places.get(index).cloned(), &names, name);
    let size = |index, name, default: usize| -> Result<usize, Error> {
        Ok(given(index, name)?.and_then(|size| size.as_usize()).unwrap_or(default))
    };
    let (length, leeway) = (size(0, "length", 255)?, size(3, "leeway", 5)?);
    let killwords = given(1, "killwords")?.is_some_and(|kill| kill.is_true());
    let end = given(2, "end")?.map_or(Ok("...".to_owned()), |end| python::str(&end))?;
    names.assert_all_used()?;
    let text = python::str(value)?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = if killwords { &kept } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept) };
    Ok(kept.to_owned() + &end)
}

/// `striptags`: comments and tags are left out, and whitespace is one space.
pub(crate) fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let close = if rest[start..].starts_with("<!--") { "-->" } else { ">" };
        let Some(end) = rest[start..].find(close) else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + close.len()..];
    }
    out.push_str(rest);
    out.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `urlencode` of a text: all but letters, digits and `_.-~/` in percent signs.
pub(crate) fn percent_encoded(text: &str) -> String {
    let written = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(written).collect()
}
