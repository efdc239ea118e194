//! JSON Lines (<https://jsonlines.org>): an object on each line.

use std::io::{self, BufRead};

use runtime_engine::type_name;
use serde_json::{Map, Value};

use super::{DataError, Items, Limits, Written, lines};

pub(super) fn read(reader: impl BufRead, limits: Limits, items: &mut Items) -> io::Result<()> {
    lines::read(reader, limits, items, |line| parse(line).map(|(fields, json)| (fields, Some(json))))
}

fn parse(bytes: &[u8]) -> Result<(Map<String, Value>, String), DataError> {
    let text = str::from_utf8(bytes).map_err(|error| DataError::NotUtf8(error.valid_up_to()))?.trim_ascii_start();
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok((fields, text.to_owned())),
        Ok(other) => Err(DataError::NotAnObject(type_name(&other))),
        // JSON knows no largest number, and what is passed on unread need not be one. (The error has no kind.)
        Err(error) if error.to_string().starts_with("number out of range") => match serde_json::from_str(text) {
            Ok::<Written<'_>, _>(written) => Ok((written.values(), text.to_owned())),
            Err(error) => Err(not_json(&error)),
        },
        Err(error) => Err(not_json(&error)),
    }
}

/// The parser saw one line only, so the line that it names is always 1.
fn not_json(error: &serde_json::Error) -> DataError {
    DataError::NotJson(error.to_string().replace(" at line 1 column ", " at column "))
}
