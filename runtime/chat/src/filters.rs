//! Filters, tests and functions of Jinja that minijinja has otherwise, or not at all.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use minijinja::value::{Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::budget::{count, made, spend_items};
use crate::cases::capitalized;
use crate::markup::{self, like};
use crate::methods::{self, invalid};
use crate::objects::Range;
use crate::python::{self, is_space};
use crate::rewrite::LOOPED;
use crate::sorting::{dictsort, sort};
use crate::strings::{filled, joined};
use crate::text::{format, indent, percent_encoded, replace, trim, truncate, without_tags, words};
use crate::turns::{Cycler, Joiner};

/// Puts them in the place of minijinja's.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("string", |value: &Value| {
        if value.as_str().is_some() { Ok(value.clone()) } else { python::str(value).map(Value::from) }
    });
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("trim", |value: &Value, chars: Option<String>| marked(value, trim(value, chars)));
    environment.add_filter("join", join);
    environment.add_filter("wordcount", |value: &Value| Ok::<_, Error>(words(&python::str(value)?)));
    environment.add_filter(LOOPED, looped);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", |value: &Value, places: Rest<Value>, names: Kwargs| {
        marked(value, indent(value, places, names))
    });
    environment.add_filter("center", |value: &Value, width: Option<i64>| {
        marked(value, filled(&python::str(value)?, "center", width.unwrap_or(80), " "))
    });
    environment.add_filter("abs", |value: Value| match value.kind() {
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        _ => minijinja::filters::abs(value),
    });
    environment.add_filter("attr", |value: &Value, name: &Value| methods::attribute_only(value, name));
    environment.add_filter("first", |value: &Value| {
        if value.is_undefined() {
            Ok(Value::UNDEFINED)
        } else {
            minijinja::filters::first(value).map(|first| like(value, first))
        }
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
    environment.add_filter("format", |value: &Value, places: Rest<Value>, names: Kwargs| {
        marked(value, format(value, places, names))
    });
    environment.add_filter("map", map);
    environment.add_filter("safe", markup::safe);
    environment.add_filter("escape", markup::escape);
    environment.add_filter("e", markup::escape);
    environment.add_filter("forceescape", markup::escape_again);
    environment.add_filter("pprint", |value: &Value| python::repr(value));
    environment.add_filter("truncate", |value: &Value, places: Rest<Value>, names: Kwargs| {
        marked(value, truncate(value, places, names))
    });
    environment.add_filter("striptags", |value: &Value| Ok::<_, Error>(without_tags(&python::str(value)?)));
    environment.add_filter("urlencode", |value: &Value| Ok::<_, Error>(percent_encoded(&python::str(value)?)));
    environment.add_filter("upper", |value: &Value| marked(value, Ok(python::str(value)?.to_uppercase())));
    environment.add_filter("lower", |value: &Value| marked(value, Ok(python::str(value)?.to_lowercase())));
    environment.add_filter("capitalize", |value: &Value| marked(value, Ok(capitalized(&python::str(value)?))));
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

/// What a filter makes of a string, marked as HTML where the string is.
fn marked(value: &Value, made: Result<String, Error>) -> Result<Value, Error> {
    Ok(like(value, Value::from(made?)))
}

/// An argument by place or else by name.
pub(crate) fn argument(place: Option<Value>, names: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
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
pub(crate) fn defined(value: &Value) -> Result<(), Error> {
    let error = || Error::new(ErrorKind::UndefinedError, "the value is undefined");
    if value.is_undefined() { Err(error()) } else { Ok(()) }
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

/// What a `for` goes through: minijinja goes through `none` as through an empty list.
pub(crate) fn looped(value: Value) -> Result<Value, Error> {
    count(&value)?;
    if value.is_none() { Err(invalid("`none` cannot be iterated over")) } else { Ok(value) }
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
