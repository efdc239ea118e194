//! A text on each line, which becomes a record of one field.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::lines::BYTE_ORDER_MARK;
use super::{DataError, Items, Limits, lines};

pub(super) fn read(reader: impl BufRead, field: &'static str, limits: Limits, items: &mut Items) -> io::Result<()> {
    lines::read(reader, limits, items, |line| {
        let text = str::from_utf8(line).map_err(|error| DataError::NotUtf8(error.valid_up_to()))?;
        Ok((Map::from_iter([(field.to_owned(), Value::from(text))]), None))
    })
}

/// Whether the input begins as texts do, and not as JSON objects. What is looked at is not taken.
pub(super) fn begins(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match reader.fill_buf() {
            Ok(bytes) => {
                let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
                return Ok(bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{'));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
