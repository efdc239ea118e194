//! `json.dumps` of Python, as the filter `tojson` of transformers calls it: no HTML escapes, keys in their order.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::budget::spend;
use crate::objects::{Range, View};
use crate::python;

/// Values within each other, at most: Python's own limit is its recursion limit of 1,000 calls.
const DEEPEST: usize = 300;

/// The filter: `tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]
pub(crate) fn tojson(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let argument = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let named = if names.has(name) { Some(names.get::<Value>(name)?) } else { None };
        Ok(places.get(index).cloned().or(named).filter(|value| !value.is_none()))
    };
    let ensure_ascii = argument(0, "ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = argument(1, "indent")?.map(|value| indentation(&value)).transpose()?;
    let separators = argument(2, "separators")?;
    let sort_keys = argument(3, "sort_keys")?.is_some_and(|value| value.is_true());
    names.assert_all_used()?;
    if places.len() > 4 {
        return Err(ErrorKind::TooManyArguments.into());
    }
    let (between, after_key) = match separators {
        Some(pair) => {
            let parts: Vec<Value> = pair.try_iter()?.collect();
            match parts.as_slice() {
                [between, after] => (python::str(between)?, python::str(after)?),
                _ => return Err(invalid("`separators` are two strings")),
            }
        }
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let mut writer = Writer { out: String::new(), ensure_ascii, indent, between, after_key, sort_keys };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

/// A number of spaces, or the text itself. `False` is the number 0.
fn indentation(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let count = match value.kind() {
        ValueKind::Bool => i64::from(value.is_true()),
        _ => value.as_i64().ok_or_else(|| invalid("`indent` is a number or a string"))?,
    };
    let count = usize::try_from(count).unwrap_or_default();
    if count > 1_000 {
        return Err(invalid("`indent` is larger than 1000"));
    }
    Ok(" ".repeat(count))
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

struct Writer {
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    between: String,
    after_key: String,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(invalid("the value is nested too deeply for JSON"));
        }
        if let Some(text) = value.as_str() {
            spend(text.len())?;
            self.text(text);
            return Ok(());
        }
        let indent = self.indent.as_ref().map_or(0, String::len);
        spend(4 + self.between.len() + self.after_key.len() + indent * depth)?;
        match value.kind() {
            ValueKind::Iterable
                if value.downcast_object_ref::<Range>().is_some() || value.downcast_object_ref::<View>().is_some() =>
            {
                return Err(invalid("a range or a view of a mapping cannot be written as JSON"));
            }
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            kind => return Err(invalid(format!("a value of type {kind} cannot be written as JSON"))),
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in list.try_iter()? {
            self.separate(empty, depth + 1);
            self.value(&item, depth + 1)?;
            empty = false;
        }
        self.close(empty, depth, ']');
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        self.out.push('{');
        for (index, key) in keys.iter().enumerate() {
            self.separate(index == 0, depth + 1);
            let name = match key.kind() {
                ValueKind::String => key.to_string(),
                ValueKind::None => "null".to_owned(),
                ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
                ValueKind::Number => number(key),
                kind => return Err(invalid(format!("a key of type {kind} cannot be written as JSON"))),
            };
            self.text(&name);
            self.out.push_str(&self.after_key);
            self.value(&map.get_item(key)?, depth + 1)?;
        }
        self.close(keys.is_empty(), depth, '}');
        Ok(())
    }

    fn separate(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push_str(&self.between);
        }
        self.line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            // Writing to a text does not fail.
            let _ok = match char {
                '"' => self.out.write_str("\\\""),
                '\\' => self.out.write_str("\\\\"),
                '\n' => self.out.write_str("\\n"),
                '\r' => self.out.write_str("\\r"),
                '\t' => self.out.write_str("\\t"),
                '\u{8}' => self.out.write_str("\\b"),
                '\u{c}' => self.out.write_str("\\f"),
                '\0'..'\u{20}' => write!(self.out, "\\u{:04x}", u32::from(char)),
                '\u{7f}'.. if self.ensure_ascii => {
                    let mut units = [0; 2];
                    char.encode_utf16(&mut units).iter().try_for_each(|unit| write!(self.out, "\\u{unit:04x}"))
                }
                _ => self.out.write_char(char),
            };
        }
        self.out.push('"');
    }
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => match number {
            _ if number.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "Infinity".to_owned(),
            f64::NEG_INFINITY => "-Infinity".to_owned(),
            _ => python::float(number),
        },
        _ => value.to_string(),
    }
}
