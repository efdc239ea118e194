//! The methods of Python's strings, lists and mappings that a template may call. Those that change a value are absent:
//! transformers renders in a sandbox that refuses them.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use crate::python::{self, is_space};
use crate::rewrite::SLICE;

/// What minijinja asks for a method that it has not itself.
pub(crate) fn call(_: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if method == SLICE {
        return slice(value, args);
    }
    match (value.as_str(), value.kind()) {
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

fn unknown() -> Error {
    ErrorKind::UnknownMethod.into()
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// Arguments by place or by name, as Python takes them.
struct Arguments<'a> {
    places: &'a [Value],
    names: Option<Kwargs>,
}

impl<'a> Arguments<'a> {
    fn new(args: &'a [Value], most: usize) -> Result<Self, Error> {
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
    fn optional(&self, index: usize, name: &str) -> Result<Option<Value>, Error> {
        let named = match &self.names {
            Some(names) if names.has(name) => Some(names.get::<Value>(name)?),
            _ => None,
        };
        Ok(self.places.get(index).cloned().or(named).filter(|value| !value.is_none()))
    }

    fn text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        self.optional(index, name)?.map(|value| text(&value)).transpose()
    }

    fn integer(&self, index: usize, name: &str) -> Result<Option<i64>, Error> {
        self.optional(index, name)?.map(|value| integer(&value)).transpose()
    }
}

fn text(value: &Value) -> Result<String, Error> {
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
    let (start, stop, step) = (bound(0)?, bound(1)?, bound(2)?.unwrap_or(1));
    if let Some(text) = value.as_str() {
        let chars: Vec<char> = text.chars().collect();
        let places = places(chars.len(), start, stop, step)?;
        return Ok(Value::from(places.into_iter().map(|place| chars[place]).collect::<String>()));
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
        "keys" => from_args::<()>(args).and_then(|()| Ok(Value::from(keys()?))),
        "values" => {
            let () = from_args(args)?;
            keys()?.iter().map(|key| map.get_item(key)).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        "items" => {
            let () = from_args(args)?;
            let pair = |key: Value| Ok(Value::from(Tuple::from([key.clone(), map.get_item(&key)?])));
            keys()?.into_iter().map(pair).collect::<Result<Vec<_>, Error>>().map(Value::from)
        }
        "copy" => from_args::<()>(args).map(|()| map.clone()),
        _ => Err(unknown()),
    }
}

fn list(list: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "count" => {
            let (what,): (&Value,) = from_args(args)?;
            Ok(Value::from(list.try_iter()?.filter(|item| item == what).count()))
        }
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            let place = list.try_iter()?.position(|item| item == *what);
            place.map(Value::from).ok_or_else(|| invalid(format!("{} is not in list", python::repr(what))))
        }
        "copy" => from_args::<()>(args).map(|()| list.clone()),
        _ => Err(unknown()),
    }
}

fn string(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(answer) = plain(this, method) {
        let () = from_args(args)?;
        return Ok(answer);
    }
    let most = if method == "format" { usize::MAX } else { 3 };
    let arguments = Arguments::new(args, most)?;
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
            let is = |part: &Value| {
                let part = text(part)?;
                Ok(if method == "startswith" { this.starts_with(&part) } else { this.ends_with(&part) })
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
            match arguments.integer(2, "count")?.and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Value::from(this.replacen(&old, &new, count)),
                None => Value::from(this.replace(&old, &new)),
            }
        }
        "removeprefix" => Value::from(this.strip_prefix(needed(0)?.as_str()).unwrap_or(this)),
        "removesuffix" => Value::from(this.strip_suffix(needed(0)?.as_str()).unwrap_or(this)),
        "count" => {
            let part = needed(0)?;
            Value::from(this.matches(part.as_str()).count())
        }
        "find" | "rfind" | "index" | "rindex" => {
            let part = needed(0)?;
            let at = if method.starts_with('r') { this.rfind(&part) } else { this.find(&part) };
            match at {
                Some(at) => Value::from(this[..at].chars().count()),
                None if method.ends_with("find") => Value::from(-1),
                None => return Err(invalid("substring not found")),
            }
        }
        "join" => {
            let parts = arguments.optional(0, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let parts: Vec<String> = parts.try_iter()?.map(|part| text(&part)).collect::<Result<_, _>>()?;
            Value::from(parts.join(this))
        }
        "splitlines" => {
            let keep = arguments.optional(0, "keepends")?.is_some_and(|keep| keep.is_true());
            Value::from(lines(this, keep))
        }
        "zfill" | "ljust" | "rjust" | "center" => {
            let width = arguments.integer(0, "")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            Value::from(filled(this, method, width, arguments.text(1, "")?.as_deref().unwrap_or(" "))?)
        }
        "format" => Value::from(format(FormatStyle::StrFormat, this, args)?),
        _ => return Err(unknown()),
    })
}

/// Methods without arguments.
fn plain(this: &str, method: &str) -> Option<Value> {
    let all = |is: fn(char) -> bool| Value::from(!this.is_empty() && this.chars().all(is));
    let cased =
        |is: fn(char) -> bool, is_not: fn(char) -> bool| Value::from(this.chars().any(is) && !this.chars().any(is_not));
    Some(match method {
        "upper" => Value::from(this.to_uppercase()),
        "lower" | "casefold" => Value::from(this.to_lowercase()),
        "title" => Value::from(title(this)),
        "capitalize" => Value::from(capitalized(this)),
        "swapcase" => Value::from(this.chars().map(swapped).collect::<String>()),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        "isspace" => all(is_space),
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isascii" => Value::from(this.is_ascii()),
        _ => return None,
    })
}

fn swapped(char: char) -> String {
    if char.is_uppercase() { char.to_lowercase().collect() } else { char.to_uppercase().collect() }
}

/// `str.title`: letters behind what is no letter are large, all others small.
fn title(this: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(this.len());
    for char in this.chars() {
        if inside {
            out.extend(char.to_lowercase())
        } else {
            out.extend(char.to_uppercase())
        }
        inside = char.is_alphabetic();
    }
    out
}

/// `str.capitalize`: the first letter is large, all others small.
pub(crate) fn capitalized(this: &str) -> String {
    let mut chars = this.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

/// `str.split` and `str.rsplit`.
pub(crate) fn split(this: &str, separator: Option<&str>, limit: usize, from_end: bool) -> Result<Value, Error> {
    let limit = limit.saturating_add(1);
    let parts: Vec<&str> = match (separator, from_end) {
        (Some(""), _) => return Err(invalid("empty separator")),
        (Some(separator), false) => this.splitn(limit, separator).collect(),
        (Some(separator), true) => this.rsplitn(limit, separator).collect(),
        (None, _) => words(this, limit, from_end),
    };
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

/// Characters that a text is filled up to, at most.
const WIDEST: usize = 100_000;

fn filled(this: &str, method: &str, width: i64, with: &str) -> Result<String, Error> {
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
