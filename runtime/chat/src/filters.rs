//! Filters, tests and functions of Jinja that minijinja has otherwise, or not at all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, Object, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::python::{self, is_space};
use crate::rewrite::LOOPED;

/// Puts them in the place of minijinja's.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("string", |value: &Value| python::str(value));
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("trim", trim);
    environment.add_filter("join", join);
    environment.add_filter("wordcount", |value: &Value| words(&python::str(value)));
    environment.add_filter(LOOPED, looped);
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
    });
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_function("joiner", |separator: Option<String>| {
        let separator = separator.unwrap_or_else(|| ", ".to_owned());
        Value::from_object(Joiner { separator, used: Mutex::new(false) })
    });
    environment.add_function("cycler", |items: Rest<Value>| {
        Value::from_object(Cycler { items: items.0, at: AtomicUsize::new(0) })
    });
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// An argument by place or else by name.
fn argument(place: Option<Value>, names: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    match place {
        Some(value) => Ok(Some(value)),
        None if names.has(name) => names.get(name).map(Some),
        None => Ok(None),
    }
}

/// `default(value, default_value='', boolean=False)`.
fn default(value: &Value, other: Option<Value>, boolean: Option<Value>, names: Kwargs) -> Result<Value, Error> {
    let other = argument(other, &names, "default_value")?;
    let boolean = argument(boolean, &names, "boolean")?.is_some_and(|boolean| boolean.is_true());
    names.assert_all_used()?;
    let absent = value.is_undefined() || boolean && !value.is_true();
    Ok(if absent { other.unwrap_or_else(|| Value::from("")) } else { value.clone() })
}

fn length(value: &Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        kind => value.len().ok_or_else(|| invalid(format!("a value of type {kind} has no length"))),
    }
}

/// `int(value, default=0, base=10)`: the default for what is no number.
fn int(value: &Value, default: Option<Value>, base: Option<Value>, names: Kwargs) -> Result<Value, Error> {
    let default = argument(default, &names, "default")?.unwrap_or_else(|| Value::from(0));
    let base = argument(base, &names, "base")?.and_then(|base| base.as_usize()).unwrap_or(10);
    names.assert_all_used()?;
    let Some(text) = value.as_str() else {
        return Ok(match value.kind() {
            ValueKind::Bool => Value::from(i64::from(value.is_true())),
            ValueKind::Number if value.is_integer() => value.clone(),
            ValueKind::Number => f64::try_from(value.clone()).ok().and_then(whole).map_or(default, Value::from),
            _ => default,
        });
    };
    let digits = text.trim_matches(is_space).replace('_', "");
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).unwrap_or(10);
    let parsed = i64::from_str_radix(&digits, base).ok();
    let parsed = parsed.or_else(|| digits.parse::<f64>().ok().and_then(whole));
    Ok(parsed.map_or(default, Value::from))
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^63 Python has integers that templates here have not.
    #[expect(clippy::cast_possible_truncation, reason = "the number is within the range")]
    (number.abs() < 9.2e18).then(|| number.trunc() as i64)
}

/// `float(value, default=0.0)`.
fn float(value: &Value, default: Option<Value>, names: Kwargs) -> Result<Value, Error> {
    let default = argument(default, &names, "default")?.unwrap_or_else(|| Value::from(0.0));
    names.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => text.trim_matches(is_space).parse::<f64>().ok(),
        None if value.kind() == ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        None => f64::try_from(value.clone()).ok(),
    };
    Ok(number.map_or(default, Value::from))
}

fn trim(value: &Value, chars: Option<String>) -> String {
    let text = python::str(value);
    let among = |char: char| chars.as_ref().map_or_else(|| is_space(char), |chars| chars.contains(char));
    text.trim_matches(among).to_owned()
}

/// `join(value, d='', attribute=None)`, of each item's `str`.
fn join(value: &Value, between: Option<Value>, attribute: Option<Value>, names: Kwargs) -> Result<String, Error> {
    let between = argument(between, &names, "d")?.map(|between| python::str(&between)).unwrap_or_default();
    let attribute = argument(attribute, &names, "attribute")?.filter(|attribute| !attribute.is_none());
    names.assert_all_used()?;
    if value.is_undefined() {
        return Ok(String::new());
    }
    let item = |item: Value| -> Result<String, Error> {
        let Some(path) = &attribute else { return Ok(python::str(&item)) };
        let path = python::str(path);
        let found = path.split('.').try_fold(item, |item, part| match part.parse::<usize>() {
            Ok(index) => item.get_item(&Value::from(index)),
            Err(_) => item.get_attr(part),
        });
        found.map(|found| python::str(&found))
    };
    Ok(value.try_iter()?.map(item).collect::<Result<Vec<_>, _>>()?.join(&between))
}

/// Python's `\w+`.
fn words(text: &str) -> usize {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).count()
}

/// What a `for` goes through: minijinja goes through `none` as through an empty list.
fn looped(value: Value) -> Result<Value, Error> {
    if value.is_none() { Err(invalid("`none` cannot be iterated over")) } else { Ok(value) }
}

/// Nothing when it is called first, then the separator.
#[derive(Debug)]
struct Joiner {
    separator: String,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn call(self: &std::sync::Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let mut used = self.used.lock().map_err(|_| invalid("the joiner is broken"))?;
        let text = if std::mem::replace(&mut *used, true) { self.separator.as_str() } else { "" };
        Ok(Value::from(text))
    }
}

/// Each item in turn.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Object for Cycler {
    fn get_value(self: &std::sync::Arc<Self>, key: &Value) -> Option<Value> {
        let at = self.at.load(Ordering::Relaxed) % self.items.len().max(1);
        (key.as_str() == Some("current")).then(|| self.items.get(at).cloned()).flatten()
    }

    fn call_method(
        self: &std::sync::Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "next" if !self.items.is_empty() => {
                let at = self.at.fetch_add(1, Ordering::Relaxed) % self.items.len();
                Ok(self.items[at].clone())
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}
