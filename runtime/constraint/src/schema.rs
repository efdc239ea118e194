//! What the library says against a JSON schema, told with the part of the schema that it means.

use serde_json::{Map, Value};

use crate::{Error, regex};

/// The parameter that gives a schema.
const NAME: &str = "json_schema";

/// The failure that `message` tells of.
pub(super) fn refused(schema: &Value, message: &str) -> Error {
    let (what, hint, place) = told(schema, message);
    let reason = match place {
        Some(place) if place != ROOT => format!("in `{place}`, {what}"),
        _ => what,
    };
    Error::Refused { name: NAME, reason, hint: hint.map(str::to_owned) }
}

/// What is wrong, what to do about it, and the part that it is in.
fn told(schema: &Value, message: &str) -> (String, Option<&'static str>, Option<String>) {
    if let Some(names) = message.strip_prefix("Unimplemented keys: ") {
        let names: Vec<String> = serde_json::from_str(names).unwrap_or_default();
        let keywords = if names.len() == 1 { "the keyword" } else { "the keywords" };
        let what = format!("{keywords} `{}` cannot be followed while a text is written", names.join("` and `"));
        let place = find(schema, &|part| names.iter().all(|name| part.contains_key(name)));
        return (what, Some("leave it out, and check the finished text by it"), place);
    }
    if message.starts_with("oneOf constraints") {
        let what = "`oneOf` has alternatives that may hold at the same time".to_owned();
        return (what, Some("write `anyOf`"), find(schema, &|part| part.contains_key("oneOf")));
    }
    if let Some(name) = message.strip_prefix("Invalid type: ") {
        let is = |value: &Value| value == name || value.as_array().is_some_and(|all| all.contains(&name.into()));
        let types = "the types are `object`, `array`, `string`, `number`, `integer`, `boolean` and `null`";
        let place = find(schema, &|part| part.get("type").is_some_and(is));
        return (format!("there is no type `{name}`"), Some(types), place);
    }
    if let Some(name) = message.strip_prefix("Unknown format: ") {
        let place = find(schema, &|part| part.get("format").is_some_and(|format| format == name));
        return (format!("the format `{name}` is not known"), Some("say it by a `pattern`, or leave it out"), place);
    }
    let reference = ["ref '", "not found in '"].iter().find_map(|before| Some(message.split_once(before)?.1));
    if let Some((reference, _)) = reference.and_then(|rest| rest.rsplit_once('\'')) {
        let place = find(schema, &|part| part.get("$ref").is_some_and(|name| name == reference));
        let hint = "a part of the schema itself is meant by `#/...`, such as `#/$defs/name`; nothing else is looked up";
        return (format!("`$ref` names `{reference}`, which the schema does not have"), Some(hint), place);
    }
    if message.starts_with("regex parse error") || message.starts_with("lookarounds") {
        let wrong = |part: &Map<String, Value>| {
            let pattern = part.get("pattern").and_then(Value::as_str);
            let names = part.get("patternProperties").and_then(Value::as_object);
            let all = pattern.into_iter().chain(names.into_iter().flat_map(Map::keys).map(String::as_str));
            all.into_iter().find_map(|pattern| Some((pattern.to_owned(), regex::check(pattern).err()?)))
        };
        let place = find(schema, &|part| wrong(part).is_some());
        let part = place.as_ref().and_then(|place| schema.pointer(place.strip_prefix(ROOT)?)?.as_object());
        if let Some((pattern, why)) = part.and_then(wrong) {
            return (format!("the pattern `{pattern}` is wrong: {why}"), None, place);
        }
    }
    if message.contains("stack level") {
        let what = "its parts are put together from each other without end, or over too many steps".to_owned();
        return (what, Some("write parts out where `allOf` and `$ref` meet"), None);
    }
    (with_small_start(message), None, wrong_type(message).and_then(|(key, kind)| of_other_type(schema, key, kind)))
}

/// The keyword and the type in `properties must be an object` and `Expected array for 'required', got 3`.
fn wrong_type(message: &str) -> Option<(&str, &str)> {
    if let Some((key, kind)) = message.split_once(" must be an ").or_else(|| message.split_once(" must be a ")) {
        return Some((key, kind.split([' ', ',']).next()?));
    }
    let (kind, rest) = message.strip_prefix("Expected ")?.split_once(" for '")?;
    Some((rest.split('\'').next()?, kind))
}

/// The part in which a keyword has a value of another type.
fn of_other_type(schema: &Value, key: &str, kind: &str) -> Option<String> {
    let fits = |value: &Value| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        _ => value.is_number(),
    };
    find(schema, &|part| part.get(key).is_some_and(|value| !fits(value)))
}

/// The pointer to the whole schema.
const ROOT: &str = "#";

/// The first part of a schema that `is` says, as `$ref` would name it.
fn find(schema: &Value, is: &impl Fn(&Map<String, Value>) -> bool) -> Option<String> {
    find_in(schema, ROOT, is)
}

fn find_in(part: &Value, place: &str, is: &impl Fn(&Map<String, Value>) -> bool) -> Option<String> {
    let fields = part.as_object()?;
    if is(fields) {
        return Some(place.to_owned());
    }
    fields.iter().find_map(|(key, value)| {
        let place = format!("{place}/{key}");
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(parts)) => {
                parts.iter().find_map(|(name, part)| find_in(part, &format!("{place}/{}", escaped(name)), is))
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(parts)) => {
                parts.iter().enumerate().find_map(|(index, part)| find_in(part, &format!("{place}/{index}"), is))
            }
            ("items" | "additionalProperties" | "additionalItems" | "not" | "contains", part) => {
                find_in(part, &place, is)
            }
            _ => None,
        }
    })
}

/// As JSON pointers have names.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The library begins some messages with a capital letter.
pub(super) fn with_small_start(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
