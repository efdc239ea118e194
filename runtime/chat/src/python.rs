//! How Python writes values: `str`, `repr`, and what it takes for whitespace.

use std::fmt::Write as _;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::budget::spend;
use crate::objects::{Method, Range, View, is_namespace};

/// Values within each other that are written, at most.
const DEEPEST: usize = 200;

/// `str(value)`.
pub(crate) fn str(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Ok(String::new()),
        None => repr(value),
    }
}

/// The type, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "an undefined value",
        ValueKind::None => "none",
        ValueKind::Bool => "a boolean",
        ValueKind::Number if value.is_integer() => "a whole number",
        ValueKind::Number => "a number",
        ValueKind::String => "a string",
        ValueKind::Seq if value.is_tuple() => "a tuple",
        ValueKind::Seq => "a list",
        ValueKind::Map => "a mapping",
        _ => "an object",
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_repr(&mut out, value, 0)?;
    Ok(out)
}

fn write_repr(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    let before = out.len();
    if let Some(text) = value.as_str() {
        out.push_str(if value.is_safe() { "Markup(" } else { "" });
        write_quoted(out, text);
        out.push_str(if value.is_safe() { ")" } else { "" });
        return spend(out.len() - before);
    }
    spend(4)?;
    match value.kind() {
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) => out.push_str(&float(number)),
            Err(_) => push(out, value),
        },
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable if depth >= DEEPEST => out.push_str("..."),
        ValueKind::Map => {
            let name = if is_namespace(value) { "<Namespace " } else { "" };
            out.push_str(name);
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                separate(out, index);
                write_repr(out, &key, depth + 1)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push_str(if name.is_empty() { "}" } else { "}>" });
        }
        ValueKind::Seq | ValueKind::Iterable => write_list(out, value, depth)?,
        _ => match value.downcast_object_ref::<Method>() {
            Some(method) => push(out, &Value::from(format!("<method {}>", method.name))),
            None => push(out, value),
        },
    }
    Ok(())
}

fn write_list(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    if let Some(range) = value.downcast_object_ref::<Range>() {
        let step = if range.step == 1 { String::new() } else { format!(", {}", range.step) };
        out.push_str(&format!("range({}, {}{step})", range.start, range.stop));
        return Ok(());
    }
    let view = value.downcast_object_ref::<View>().map(|view| format!("{}([", view.name));
    let (open, close) = match &view {
        Some(open) => (open.as_str(), "])"),
        None if value.is_tuple() => ("(", ")"),
        None => ("[", "]"),
    };
    out.push_str(open);
    let mut length = 0;
    for (index, item) in value.try_iter()?.enumerate() {
        separate(out, index);
        write_repr(out, &item, depth + 1)?;
        length += 1;
    }
    if value.is_tuple() && length == 1 {
        out.push(',');
    }
    out.push_str(close);
    Ok(())
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push_str(", ");
    }
}

fn push(out: &mut String, value: &Value) {
    // Writing to a text does not fail.
    let _ok = write!(out, "{value}");
}

/// A string in quotes: single ones, unless it has such and no double ones.
fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for char in text.chars() {
        let _ok = match char {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\\' => out.write_str("\\\\"),
            _ if char == quote => write!(out, "\\{char}"),
            _ if is_printable(char) => out.write_char(char),
            _ => match u32::from(char) {
                code @ ..=0xff => write!(out, "\\x{code:02x}"),
                code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            },
        };
    }
    out.push(quote);
}

/// `str.isprintable` of one character. Rust writes a character that is not printable as an escape in its own `Debug`,
/// but for combining marks, which Python prints.
pub(crate) fn is_printable(char: char) -> bool {
    match char {
        ' '..='~' => true,
        _ if char.is_control() || char.is_whitespace() => false,
        // `Debug` escapes marks that extend the character before them.
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => true,
        _ => char.escape_debug().len() == 1,
    }
}

/// `repr` of a float: the shortest digits that give it back, with an exponent from `1e16` on and below `1e-4`.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Rust's `Debug` changes to an exponent at the same places, and writes `1e16` for `1e+16`.
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// What `str.strip` removes and `str.split` splits at: Unicode's whitespace, and the four separators of ASCII.
pub(crate) fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python 3.12 prints them.
    #[test]
    fn floats_and_texts_are_written_as_in_python() {
        let floats = [
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e-5, "1e-05"),
            (1e-4, "0.0001"),
            (-0.0, "-0.0"),
            (1e100, "1e+100"),
            (2.0, "2.0"),
        ];
        for (number, written) in floats {
            assert_eq!(float(number), written);
        }
        let texts = [
            ("it's", "\"it's\""),
            ("'\"", "'\\'\"'"),
            ("a\nb\\\u{1b}\u{a0}é\u{200b}", "'a\\nb\\\\\\x1b\\xa0é\\u200b'"),
        ];
        for (text, written) in texts {
            assert_eq!(repr(&Value::from(text)).expect("short"), written);
        }
    }
}
