//! The methods of Python's strings, lists and mappings that a template may call. Those that change a value are absent:
//! transformers renders in a sandbox that refuses them.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use crate::budget::{count, spend, spend_items};
use crate::objects::{Method, View, is_namespace};
use crate::operators::equal;
use crate::python::{self, is_space};

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

pub(crate) fn invalid(reason: impl Into<String>) -> Error {
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
    count(value)?;
    let bounds = (bound(0), bound(1), bound(2));
    let (Ok(start), Ok(stop), Ok(step)) = bounds else { return Ok(Value::UNDEFINED) };
    let step = step.unwrap_or(1);
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

fn string(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
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
        "format" => Value::from(format(FormatStyle::StrFormat, this, args)?),
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

/// Methods without arguments.
fn plain(this: &str, method: &str) -> Option<Value> {
    let all = |is: fn(char) -> bool| Value::from(!this.is_empty() && this.chars().all(is));
    let cased =
        |is: fn(char) -> bool, is_not: fn(char) -> bool| Value::from(this.chars().any(is) && !this.chars().any(is_not));
    Some(match method {
        "upper" => Value::from(this.to_uppercase()),
        "lower" => Value::from(this.to_lowercase()),
        "casefold" => Value::from(this.to_lowercase().replace('ß', "ss").replace('ς', "σ")),
        "title" => Value::from(title(this)),
        "capitalize" => Value::from(capitalized(this)),
        "swapcase" => Value::from(this.chars().map(swapped).collect::<String>()),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        "isspace" => all(is_space),
        "isnumeric" => all(char::is_numeric),
        "isdigit" => {
            all(|char| is_decimal(char) || matches!(char, '²' | '³' | '¹' | '⁰'..='⁹' | '₀'..='₉' | '①'..='⑨'))
        }
        "isdecimal" => all(is_decimal),
        "istitle" => Value::from(this.chars().any(char::is_alphabetic) && title(this) == this),
        "isprintable" => Value::from(this.chars().all(python::is_printable)),
        "isidentifier" => {
            let starts = this.starts_with(|char: char| char.is_alphabetic() || char == '_');
            Value::from(starts && this.chars().all(|char| char.is_alphanumeric() || char == '_'))
        }
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isascii" => Value::from(this.is_ascii()),
        _ => return None,
    })
}

/// Whether a character is a digit from 0 to 9 of some script: these stand in rows of ten.
fn is_decimal(char: char) -> bool {
    const ZEROS: [char; 20] =
        ['0', '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '๐', '໐', '༠', '၀', '០', '᠐', '０'];
    ZEROS.iter().any(|zero| (*zero..=char::from_u32(u32::from(*zero) + 9).unwrap_or(*zero)).contains(&char))
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
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
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
