//! Comma-separated values with a header (RFC 4180); every field is a text.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use serde_json::{Map, Value};

use super::{DataError, Item, Items, Limits, Record};

pub(super) fn read(reader: impl Read, limits: Limits, items: &mut Items) -> io::Result<()> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    let mut row = ByteRecord::new();
    let mut header: Option<Vec<String>> = None;
    while reader.read_byte_record(&mut row).map_err(io_error)? {
        let line = row.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        let Some(columns) = &header else {
            match read_header(&row) {
                Ok(columns) => header = Some(columns),
                Err(error) => {
                    items.bad(line, error);
                    return Ok(());
                }
            }
            continue;
        };
        let item = match fields(columns, &row, limits) {
            Ok(fields) => Item::Record(Record { line, fields, json: None, end: reader.position().byte() }),
            Err(error) => Item::Bad { line, error },
        };
        if !items.push(item) {
            return Ok(());
        }
    }
    Ok(())
}

fn read_header(row: &ByteRecord) -> Result<Vec<String>, DataError> {
    let mut columns: Vec<String> = Vec::new();
    for name in row {
        let name = str::from_utf8(name).map_err(|error| DataError::NotUtf8(error.valid_up_to()))?;
        let name = name.trim_start_matches('\u{feff}');
        if columns.iter().any(|known| known == name) {
            return Err(DataError::TwoColumns(name.to_owned()));
        }
        columns.push(name.to_owned());
    }
    Ok(columns)
}

fn fields(columns: &[String], row: &ByteRecord, limits: Limits) -> Result<Map<String, Value>, DataError> {
    if row.len() != columns.len() {
        return Err(DataError::Fields { expected: columns.len() as u64, found: row.len() as u64 });
    }
    let bytes = row.as_slice().len();
    if bytes > limits.record_bytes {
        return Err(DataError::TooLong { bytes: bytes as u64, limit: limits.record_bytes });
    }
    let text = |bytes| str::from_utf8(bytes).map_err(|error| DataError::NotUtf8(error.valid_up_to()));
    columns.iter().zip(row).map(|(name, field)| Ok((name.clone(), Value::from(text(field)?)))).collect()
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
