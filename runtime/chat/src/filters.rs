//! Filters, tests and functions of Jinja that minijinja has otherwise, or not at all.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, Object, Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::budget::{count, made, spend, spend_items};
use crate::methods::{self, filled, invalid, joined};
use crate::objects::Range;
use crate::printf;
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
    environment.add_filter("wordcount", |value: &Value| Ok::<_, Error>(words(&python::str(value)?)));
    environment.add_filter(LOOPED, looped);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("center", |value: &Value, width: Option<i64>| {
        filled(&python::str(value)?, "center", width.unwrap_or(80), " ")
    });
    environment.add_filter("abs", |value: Value| match value.kind() {
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        _ => minijinja::filters::abs(value),
    });
    environment.add_filter("attr", |value: &Value, name: &Value| methods::attribute_only(value, name));
    environment.add_filter("first", |value: &Value| {
        if value.is_undefined() { Ok(Value::UNDEFINED) } else { minijinja::filters::first(value) }
    });
    environment.add_filter(
        "last",
        |value: Value| if value.is_undefined() { Ok(value) } else { minijinja::filters::last(value) },
    );
    environment.add_filter("items", items);
    environment
        .add_filter("list", |value: Value| -> Result<Vec<Value>, Error> { Ok(looped(value)?.try_iter()?.collect()) });
    environment.add_filter("sort", sort);
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("batch", |state: &State, value: Value, count: usize, fill: Option<Value>| {
        let most = value.len().unwrap_or_default().max(if fill.is_some() { count } else { 0 });
        spend_items(most)?;
        made(minijinja::filters::batch(state, value, count, fill)?)
    });
    environment.add_filter("slice", |state: &State, value: Value, count: usize, fill: Option<Value>| {
        spend_items(count)?;
        made(minijinja::filters::slice(state, value, count, fill)?)
    });
    environment.add_filter("groupby", |value: Value, attribute: Option<&str>, names: Kwargs| {
        made(minijinja::filters::groupby(value, attribute, names)?)
    });
    environment.add_filter("format", format);
    environment.add_filter("map", map);
    environment.add_filter("escape", escaped);
    environment.add_filter("e", escaped);
    environment.add_filter("forceescape", escaped);
    environment.add_filter("pprint", |value: &Value| python::repr(value));
    environment.add_filter("truncate", truncate);
    environment.add_filter("striptags", |value: &Value| Ok::<_, Error>(without_tags(&python::str(value)?)));
    environment.add_filter("urlencode", |value: &Value| Ok::<_, Error>(percent_encoded(&python::str(value)?)));
    for name in ["bool", "chain", "lines", "split", "zip"] {
        // Jinja has none of these.
        environment.remove_filter(name);
    }
    environment.add_function("range", |first: i64, stop: Option<i64>, step: Option<i64>| {
        let (start, stop) = stop.map_or((0, first), |stop| (first, stop));
        Ok::<_, Error>(Value::from_object(Range::new(start, stop, step.unwrap_or(1))?))
    });
    environment.add_function("dict", dict);
    environment.add_function("joiner", |separator: Option<String>| {
        let separator = separator.unwrap_or_else(|| ", ".to_owned());
        Value::from_object(Joiner { separator, used: Mutex::new(false) })
    });
    environment.add_function("cycler", |items: Rest<Value>| {
        Value::from_object(Cycler { items: items.0, at: AtomicUsize::new(0) })
    });
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
fn default(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let other = argument(places.first().cloned(), &names, "default_value")?;
    let boolean = argument(places.get(1).cloned(), &names, "boolean")?.is_some_and(|boolean| boolean.is_true());
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
    defined(value)?;
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
    let digits = match base {
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o").trim_start_matches("0O"),
        2 => digits.trim_start_matches("0b").trim_start_matches("0B"),
        _ => &digits,
    };
    let parsed = i64::from_str_radix(digits, base).ok();
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
    defined(value)?;
    let default = argument(default, &names, "default")?.unwrap_or_else(|| Value::from(0.0));
    names.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => text.trim_matches(is_space).parse::<f64>().ok(),
        None if value.kind() == ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        None => f64::try_from(value.clone()).ok(),
    };
    Ok(number.map_or(default, Value::from))
}

/// An error for what is undefined, as Python raises one where its number is asked for.
fn defined(value: &Value) -> Result<(), Error> {
    let error = || Error::new(ErrorKind::UndefinedError, "the value is undefined");
    if value.is_undefined() { Err(error()) } else { Ok(()) }
}

fn trim(value: &Value, chars: Option<String>) -> Result<String, Error> {
    let text = python::str(value)?;
    let among = |char: char| chars.as_ref().map_or_else(|| is_space(char), |chars| chars.contains(char));
    Ok(text.trim_matches(among).to_owned())
}

/// `join(value, d='', attribute=None)`, of each item's `str`.
fn join(value: &Value, between: Option<Value>, attribute: Option<Value>, names: Kwargs) -> Result<String, Error> {
    let between = argument(between, &names, "d")?.map(|between| python::str(&between)).transpose()?.unwrap_or_default();
    let attribute = argument(attribute, &names, "attribute")?.filter(|attribute| !attribute.is_none());
    names.assert_all_used()?;
    if value.is_undefined() {
        return Ok(String::new());
    }
    let item = |item: Value| -> Result<String, Error> {
        let Some(path) = &attribute else { return python::str(&item) };
        python::str(&at_path(item, path)?)
    };
    joined(&between, looped(value.clone())?.try_iter()?.map(item))
}

/// Python's `\w+`.
fn words(text: &str) -> usize {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).count()
}

/// What a `for` goes through: minijinja goes through `none` as through an empty list.
fn looped(value: Value) -> Result<Value, Error> {
    count(&value)?;
    if value.is_none() { Err(invalid("`none` cannot be iterated over")) } else { Ok(value) }
}

/// `replace(s, old, new, count=None)`.
fn replace(value: &Value, old: &Value, new: &Value, many: Option<i64>) -> Result<Value, Error> {
    let (text, old, new) = (python::str(value)?, python::str(old)?, python::str(new)?);
    let places = if old.is_empty() { text.len() + 1 } else { text.len() / old.len() };
    spend(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(Value::from(match many.and_then(|many| usize::try_from(many).ok()) {
        Some(many) => text.replacen(&old, &new, many),
        None => text.replace(&old, &new),
    }))
}

/// `indent(s, width=4, first=False, blank=False)`.
fn indent(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
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
fn format(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let text = python::str(value)?;
    let given: Vec<(String, Value)> =
        names.args().map(|name| Ok((name.to_owned(), names.get::<Value>(name)?))).collect::<Result<_, Error>>()?;
    match (given.is_empty(), places.is_empty()) {
        (true, _) => printf::formatted(&text, &places, None),
        (false, true) => printf::formatted(&text, &[], Some(&Value::from_pairs(given))),
        (false, false) => Err(invalid("`format` takes arguments by place or by name, not both")),
    }
}

/// `map(value, attribute=..., default=...)`, or `map(value, filter, ...)`.
fn map(state: &mut State, value: Value, places: Rest<Value>, names: Kwargs) -> Result<Vec<Value>, Error> {
    let value = looped(value)?;
    let Some((filter, arguments)) = places.split_first() else {
        let path: Value = names.get("attribute")?;
        let default = if names.has("default") { Some(names.get::<Value>("default")?) } else { None };
        names.assert_all_used()?;
        let item = |item: Value| {
            let found = at_path(item, &path)?;
            Ok(if found.is_undefined() { default.clone().unwrap_or(found) } else { found })
        };
        return value.try_iter()?.map(item).collect();
    };
    let filter = filter.as_str().ok_or_else(|| invalid("`map` takes the name of a filter"))?.to_owned();
    let mut all: Vec<Value> = [Value::UNDEFINED].into_iter().chain(arguments.iter().cloned()).collect();
    let given: Vec<(String, Value)> =
        names.args().map(|name| Ok((name.to_owned(), names.get::<Value>(name)?))).collect::<Result<_, Error>>()?;
    if !given.is_empty() {
        all.push(Value::from(given.into_iter().collect::<Kwargs>()));
    }
    let mut out = Vec::new();
    for item in value.try_iter()? {
        count(&item)?;
        all[0] = item;
        out.push(made(state.apply_filter(&filter, &all)?)?);
    }
    Ok(out)
}

/// What is at `a.b.0` of a value.
fn at_path(value: Value, path: &Value) -> Result<Value, Error> {
    let Some(path) = path.as_str() else { return value.get_item(path) };
    path.split('.').try_fold(value, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_item(&Value::from(index)),
        Err(_) => value.get_item(&Value::from(part)),
    })
}

fn items(value: &Value) -> Result<Vec<Value>, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(Vec::new()),
        ValueKind::Map => {
            let pair = |key: Value| Ok(Value::from(Tuple::from([key.clone(), value.get_item(&key)?])));
            value.try_iter()?.map(pair).collect()
        }
        _ => Err(invalid(format!("{} has no items", python::kind(value)))),
    }
}

/// Arguments by name, of which the first few may also be given by place.
fn named(places: &[Value], order: &[&str], names: Kwargs) -> Kwargs {
    let given = names.args().map(|name| (name.to_owned(), names.peek::<Value>(name).unwrap_or_default()));
    let given: Vec<(String, Value)> = given.collect();
    order.iter().map(|name| (*name).to_owned()).zip(places.iter().cloned()).chain(given).collect()
}

/// `dict(mapping_or_pairs, **kwargs)`.
fn dict(first: Option<Value>, names: Kwargs) -> Result<Value, Error> {
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    if let Some(first) = first {
        for item in first.try_iter()? {
            let pair: Vec<Value> = match first.kind() {
                ValueKind::Map => vec![item.clone(), first.get_item(&item)?],
                _ => item.try_iter()?.collect(),
            };
            let [key, value] = pair.as_slice() else { return Err(invalid("`dict` takes a mapping or pairs")) };
            pairs.push((key.clone(), value.clone()));
        }
    }
    for name in names.args() {
        pairs.push((Value::from(name), names.get(name)?));
    }
    Ok(Value::from_pairs(pairs))
}

/// `sort(value, reverse=False, case_sensitive=False, attribute=None)`.
fn sort(state: &State, value: Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let value = looped(value)?;
    let mixed = |value: &Value| -> Result<bool, Error> {
        let kinds: BTreeSet<bool> = value.try_iter()?.map(|item| item.kind() == ValueKind::String).collect();
        Ok(kinds.len() > 1)
    };
    let names = named(&places, &["reverse", "case_sensitive", "attribute"], names);
    if !names.has("attribute") && mixed(&value)? {
        return Err(invalid("strings and other values have no order"));
    }
    minijinja::filters::sort(state, value, names)
}

/// `dictsort(value, case_sensitive=False, by='key', reverse=False)`.
fn dictsort(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    minijinja::filters::dictsort(value, named(&places, &["case_sensitive", "by", "reverse"], names))
}

/// `escape`, with the entities of MarkupSafe.
fn escaped(value: &Value) -> Result<String, Error> {
    let text = python::str(value)?;
    spend(text.len().saturating_mul(5))?;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(text.replace('"', "&#34;").replace('\'', "&#39;"))
}

/// `truncate(s, length=255, killwords=False, end='...', leeway=5)`.
fn truncate(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
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
fn without_tags(text: &str) -> String {
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
fn percent_encoded(text: &str) -> String {
    let written = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(written).collect()
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
