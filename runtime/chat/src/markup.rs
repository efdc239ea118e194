//! Strings that are marked as HTML: the filters `safe` and `escape` give them, and as MarkupSafe has them in Python, `+`
//! and their methods escape what is joined to them, even where nothing else is escaped. Templates of some models have such
//! text in their prompts, and the models were trained on it.

use minijinja::value::{Kwargs, Tuple, ValueKind};
use minijinja::{Error, Value};

use crate::budget::spend;
use crate::python;

/// Methods whose answer is marked where the string is.
const MARKING: &str = " capitalize title lower upper replace ljust rjust lstrip rstrip center strip expandtabs swapcase \
                       zfill casefold removeprefix removesuffix partition rpartition split rsplit splitlines join \
                       format ";

/// The filter `safe`.
pub(crate) fn safe(value: &Value) -> Result<Value, Error> {
    Ok(if value.is_safe() { value.clone() } else { Value::from_safe_string(python::str(value)?) })
}

/// The filter `escape`: what is marked stays as it is.
pub(crate) fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() { Ok(value.clone()) } else { escape_again(value) }
}

/// The filter `forceescape`, with the entities of MarkupSafe.
pub(crate) fn escape_again(value: &Value) -> Result<Value, Error> {
    let text = python::str(value)?;
    spend(text.len().saturating_mul(5))?;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Value::from_safe_string(text.replace('"', "&#34;").replace('\'', "&#39;")))
}

/// Two strings that are to be joined, the one that is not marked escaped where the other is.
pub(crate) fn alike(a: Value, b: Value) -> Result<(Value, Value), Error> {
    let strings = a.as_str().is_some() && b.as_str().is_some();
    if strings && a.is_safe() != b.is_safe() { Ok((escape(&a)?, escape(&b)?)) } else { Ok((a, b)) }
}

/// Marks what was made of a string, or all parts of it, where the string is marked.
pub(crate) fn like(string: &Value, made: Value) -> Value {
    if !string.is_safe() {
        return made;
    }
    let parts = || made.try_iter().into_iter().flatten().map(|part| like(string, part));
    match (made.as_str(), made.kind()) {
        (Some(text), _) => Value::from_safe_string(text.to_owned()),
        (None, ValueKind::Seq) if made.is_tuple() => Value::from(Tuple::new(parts().collect())),
        (None, ValueKind::Seq) => Value::from(parts().collect::<Vec<_>>()),
        _ => made,
    }
}

/// Marks what a method of a string gave, as `like`.
pub(crate) fn like_method(string: &Value, method: &str, made: Value) -> Value {
    let marking = string.is_safe() && MARKING.split_ascii_whitespace().any(|name| name == method);
    if marking { like(string, made) } else { made }
}

/// The arguments of a method of a marked string.
pub(crate) fn arguments(method: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
    let escaped = |(place, value): (usize, &Value)| match (method, place) {
        ("join", 0) => value.try_iter()?.map(|item| escape(&item)).collect::<Result<Vec<_>, _>>().map(Value::from),
        ("format", _) if value.is_kwargs() => {
            let names = Kwargs::try_from(value.clone())?;
            let named = names.args().map(|name| Ok((name.to_owned(), shown(&names.peek::<Value>(name)?)?)));
            Ok(Value::from(named.collect::<Result<Kwargs, Error>>()?))
        }
        ("format", _) => shown(value),
        ("replace" | "ljust" | "rjust" | "center", 1) => escape(value),
        _ => Ok(value.clone()),
    };
    args.iter().enumerate().map(escaped).collect()
}

/// What is to be written into a marked string: numbers are left to the format.
pub(crate) fn shown(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Number | ValueKind::Bool => Ok(value.clone()),
        _ => escape(value),
    }
}

/// A mapping of what is to be written into a marked string.
pub(crate) fn shown_items(map: &Value) -> Result<Value, Error> {
    let item = |key: Value| Ok((key.clone(), shown(&map.get_item(&key)?)?));
    map.try_iter()?.map(item).collect::<Result<Vec<_>, Error>>().map(Value::from_pairs)
}
