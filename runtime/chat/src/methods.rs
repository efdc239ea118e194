//! Items and attributes of values, and the methods of Python's lists and mappings that a template may call. Those that
//! change a value are absent: transformers renders in a sandbox that refuses them.

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use crate::budget::count;
use crate::objects::{Method, View, is_namespace};
use crate::operators::equal;
use crate::strings::string;
use crate::{markup, python};

/// The method that stands for a slice.
pub(crate) const SLICE: &str = "__slice__";

/// The method that stands for an item that is not looked up by a plain name.
pub(crate) const ITEM: &str = "__item__";

/// The method that stands for an attribute that has the name of a method.
pub(crate) const ATTRIBUTE: &str = "__attribute__";

/// Methods of Python's mappings, lists and strings, by what has them; the sandbox refuses those that are marked.
const MAPPINGS: &str = " items keys values get copy fromkeys update! pop! popitem! clear! setdefault! ";
const LISTS: &str = " index count copy append! extend! insert! remove! pop! clear! sort! reverse! ";
const STRINGS: &str = " capitalize casefold center count encode endswith expandtabs find format format_map index \
                       isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace \
                       istitle isupper join ljust lower lstrip maketrans partition removeprefix removesuffix replace \
                       rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title \
                       translate upper zfill ";

/// Whether the name is of a method.
pub(crate) fn is_one(name: &str) -> bool {
    [MAPPINGS, LISTS, STRINGS].iter().any(|names| has(names, name).is_some())
}

/// Whether the name is among them, and then whether it may be used.
fn has(names: &str, name: &str) -> Option<bool> {
    names.split_ascii_whitespace().find(|other| other.trim_end_matches('!') == name).map(|other| !other.ends_with('!'))
}

/// The method of a value; undefined where the sandbox refuses it.
fn method(value: &Value, name: &str) -> Option<Value> {
    let names = match value.kind() {
        ValueKind::String => STRINGS,
        ValueKind::Seq => LISTS,
        ValueKind::Map if !is_namespace(value) => MAPPINGS,
        _ => return None,
    };
    let method = || Value::from_object(Method { of: value.clone(), name: name.to_owned() });
    has(names, name).map(|allowed| if allowed { method() } else { Value::UNDEFINED })
}

/// `value.name`, which is the method before an item of that name.
pub(crate) fn attribute(value: &Value, name: &Value) -> Result<Value, Error> {
    match name.as_str().and_then(|name| method(value, name)) {
        Some(method) => Ok(method),
        None => value.get_item(name),
    }
}

/// The filter `attr`: the method and nothing else, since values here have no other attributes.
pub(crate) fn attribute_only(value: &Value, name: &Value) -> Result<Value, Error> {
    Ok(name.as_str().and_then(|name| method(value, name)).unwrap_or(Value::UNDEFINED))
}

/// `value[key]`, which is an item before the method of that name.
fn item(value: &Value, key: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::String {
        count(value)?;
    }
    let whole = key.kind() != ValueKind::Number || key.is_integer();
    if value.downcast_object_ref::<View>().is_some() || !whole && value.kind() != ValueKind::Map {
        return Ok(Value::UNDEFINED);
    }
    let found = value.get_item(key)?;
    Ok(match key.as_str().filter(|_| found.is_undefined()) {
        Some(name) => method(value, name).unwrap_or(found),
        None if found.as_str().is_some() && value.as_str().is_some() => markup::like(value, found),
        None => found,
    })
}

/// What minijinja asks for a method that it has not itself.
pub(crate) fn call(_: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (method, args) {
        (SLICE, _) => return slice(value, args),
        (ITEM, [key]) => return item(value, key),
        (ATTRIBUTE, [name]) => return attribute(value, name),
        ("get", _) => {}
        _ => count(value)?,
    }
    match (value.as_str(), value.kind()) {
        (Some(text), _) if value.is_safe() => {
            let made = string(text, method, &markup::arguments(method, args)?)?;
            Ok(markup::like_method(value, method, made))
        }
        (Some(text), _) => string(text, method, args),
        (None, ValueKind::Map) => mapping(value, method, args),
        (None, ValueKind::Seq | ValueKind::Iterable) => list(value, method, args),
        (None, ValueKind::Number) if method == "is_integer" => {
            let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
            Ok(Value::from(number.fract() == 0.0))
        }
        _ => Err(unknown()),
    }
}

pub(crate) fn unknown() -> Error {
    ErrorKind::UnknownMethod.into()
}

pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// Arguments by place or by name, as Python takes them.
pub(crate) struct Arguments<'a> {
    places: &'a [Value],
    pub(crate) names: Option<Kwargs>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(args: &'a [Value], most: usize) -> Result<Self, Error> {
        let (places, names) = match args.split_last() {
            Some((last, places)) if last.is_kwargs() => (places, Some(Kwargs::try_from(last.clone())?)),
            _ => (args, None),
        };
        if places.len() > most {
            return Err(ErrorKind::TooManyArguments.into());
        }
        Ok(Self { places, names })
    }

    /// `None` also where it is `none`.
    pub(crate) fn optional(&self, index: usize, name: &str) -> Result<Option<Value>, Error> {
        let named = match &self.names {
            Some(names) if names.has(name) => Some(names.get::<Value>(name)?),
            _ => None,
        };
        Ok(self.places.get(index).cloned().or(named).filter(|value| !value.is_none()))
    }

    pub(crate) fn text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        self.optional(index, name)?.map(|value| text(&value)).transpose()
    }

    pub(crate) fn integer(&self, index: usize, name: &str) -> Result<Option<i64>, Error> {
        self.optional(index, name)?.map(|value| integer(&value)).transpose()
    }
}

pub(crate) fn text(value: &Value) -> Result<String, Error> {
    let wrong = || invalid(format!("a string is expected, not {}", value.kind()));
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

fn integer(value: &Value) -> Result<i64, Error> {
    match value.kind() {
        ValueKind::Bool => Ok(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.as_i64().ok_or_else(|| invalid("the number is too large")),
        kind => Err(invalid(format!("an integer is expected, not {kind}"))),
    }
}

/// `value[start:stop:step]`.
fn slice(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(args, 3)?;
    let bound = |index| arguments.integer(index, "");
    count(value)?;
    let bounds = (bound(0), bound(1), bound(2));
    let (Ok(start), Ok(stop), Ok(step)) = bounds else { return Ok(Value::UNDEFINED) };
    let step = step.unwrap_or(1);
    if let Some(text) = value.as_str() {
        let chars: Vec<char> = text.chars().collect();
        let places = places(chars.len(), start, stop, step)?;
        let taken: String = places.into_iter().map(|place| chars[place]).collect();
        return Ok(markup::like(value, Value::from(taken)));
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {}
        ValueKind::Undefined => return Err(Error::new(ErrorKind::UndefinedError, "the value to slice is undefined")),
        // Jinja takes an item that there is not as undefined.
        _ => return Ok(Value::UNDEFINED),
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let places = places(items.len(), start, stop, step)?;
    let taken: Vec<Value> = places.into_iter().map(|place| items[place].clone()).collect();
    Ok(if value.is_tuple() { Value::from(Tuple::new(taken)) } else { Value::from(taken) })
}

/// The places that a slice takes of so many, in order (`slice.indices` of Python).
fn places(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Vec<usize>, Error> {
    if step == 0 {
        return Err(invalid("slice step cannot be zero"));
    }
    let length = i64::try_from(length).map_err(|_| invalid("too many items"))?;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let within = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound }.clamp(lowest, highest);
    let first = start.map_or(if step > 0 { lowest } else { highest }, within);
    let end = stop.map_or(if step > 0 { highest } else { lowest }, within);
    let mut places = Vec::new();
    let mut place = first;
    while if step > 0 { place < end } else { place > end } {
        places.push(usize::try_from(place).map_err(|_| invalid("a place below zero"))?);
        place = place.saturating_add(step);
    }
    Ok(places)
}

fn mapping(map: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let keys = || -> Result<Vec<Value>, Error> { Ok(map.try_iter()?.collect()) };
    match method {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            // `get_item` gives what is undefined for a key that there is not.
            let found = map.get_item(key).ok().filter(|value| !value.is_undefined());
            Ok(found.unwrap_or_else(|| default.unwrap_or_else(|| Value::from(()))))
        }
        "keys" => from_args::<()>(args).and_then(|()| Ok(view("dict_keys", keys()?))),
        "values" => {
            let () = from_args(args)?;
            keys()?
                .iter()
                .map(|key| map.get_item(key))
                .collect::<Result<Vec<_>, _>>()
                .map(|items| view("dict_values", items))
        }
        "items" => {
            let () = from_args(args)?;
            let pair = |key: Value| Ok(Value::from(Tuple::from([key.clone(), map.get_item(&key)?])));
            keys()?.into_iter().map(pair).collect::<Result<Vec<_>, Error>>().map(|items| view("dict_items", items))
        }
        "copy" => from_args::<()>(args).map(|()| map.clone()),
        _ => Err(unknown()),
    }
}

fn view(name: &'static str, items: Vec<Value>) -> Value {
    Value::from_object(View { name, items })
}

fn list(list: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "count" => {
            let (what,): (&Value,) = from_args(args)?;
            let same = list.try_iter()?.map(|item| equal(&item, what)).collect::<Result<Vec<bool>, _>>()?;
            Ok(Value::from(same.into_iter().filter(|same| *same).count()))
        }
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            for (place, item) in list.try_iter()?.enumerate() {
                if equal(&item, what)? {
                    return Ok(Value::from(place));
                }
            }
            Err(invalid(format!("{} is not in list", python::repr(what)?)))
        }
        "copy" => from_args::<()>(args).map(|()| list.clone()),
        _ => Err(unknown()),
    }
}
