//! JSON Lines (<https://jsonlines.org>): an object on each line.

use std::io::{self, BufRead};

use serde_json::Value;

use super::{DataError, Item, Items, Limits, Record};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) fn read(mut reader: impl BufRead, limits: Limits, items: &mut Items) -> io::Result<()> {
    let mut line = Line::default();
    let mut number = 0;
    let mut end = 0;
    // Empty lines are bad records, unless nothing but empty lines follows them.
    let mut empty: Vec<usize> = Vec::new();
    while line.read(&mut reader, limits.record_bytes)? {
        number += 1;
        end += line.length;
        let bytes = line.kept.strip_prefix(BYTE_ORDER_MARK).filter(|_| number == 1).unwrap_or(&line.kept);
        if bytes.trim_ascii().is_empty() && !line.too_long(limits.record_bytes) {
            empty.push(number);
            continue;
        }
        if !empty.drain(..).all(|number| items.bad(number, DataError::EmptyLine)) {
            return Ok(());
        }
        let parsed = if line.too_long(limits.record_bytes) {
            Err(DataError::TooLong { bytes: line.length, limit: limits.record_bytes })
        } else {
            parse(bytes)
        };
        let item = match parsed {
            Ok((fields, json)) => Item::Record(Record { line: number, fields, json: Some(json), end }),
            Err(error) => Item::Bad { line: number, error },
        };
        if !items.push(item) {
            return Ok(());
        }
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<(serde_json::Map<String, Value>, String), DataError> {
    let text = str::from_utf8(bytes).map_err(|error| DataError::NotUtf8(error.valid_up_to()))?.trim();
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok((fields, text.to_owned())),
        Ok(Value::Null) => Err(DataError::NotAnObject("null")),
        Ok(Value::Bool(_)) => Err(DataError::NotAnObject("a boolean")),
        Ok(Value::Number(_)) => Err(DataError::NotAnObject("a number")),
        Ok(Value::String(_)) => Err(DataError::NotAnObject("a text")),
        Ok(Value::Array(_)) => Err(DataError::NotAnObject("a list")),
        // The parser saw one line only, so the line that it names is always 1.
        Err(error) => Err(DataError::NotJson(error.to_string().replace(" at line 1 column ", " at column "))),
    }
}

/// A line, of which no more is kept than a record may be long.
#[derive(Default)]
struct Line {
    kept: Vec<u8>,
    /// Bytes, the line break included.
    length: u64,
}

impl Line {
    /// Reads the next line; `false` at the end of the input.
    fn read(&mut self, reader: &mut impl BufRead, limit: usize) -> io::Result<bool> {
        self.kept.clear();
        self.length = 0;
        loop {
            let available = match reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok(self.length > 0);
            }
            let line_break = available.iter().position(|byte| *byte == b'\n');
            let taken = line_break.map_or(available.len(), |index| index + 1);
            let room = (limit + 2).saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&available[..taken.min(room)]);
            self.length += taken as u64;
            reader.consume(taken);
            if line_break.is_some() {
                return Ok(true);
            }
        }
    }

    /// Whether the record is longer than `limit`, its line break not counted.
    fn too_long(&self, limit: usize) -> bool {
        self.length > limit as u64 && self.kept.trim_ascii_end().len() > limit
    }
}
