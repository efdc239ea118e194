//! Records that take a line each.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::{DataError, Item, Items, Limits, Record};

pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A line as a record: its fields, and its text where that is JSON.
type Parsed = (Map<String, Value>, Option<String>);

/// Reads records that `parse` makes of lines.
pub(super) fn read(
    mut reader: impl BufRead,
    limits: Limits,
    items: &mut Items,
    parse: impl Fn(&[u8]) -> Result<Parsed, DataError>,
) -> io::Result<()> {
    let mut line = Line::default();
    let mut number = 0;
    let mut end = 0;
    // Empty lines are bad records, unless nothing but empty lines follows them.
    let mut told = 0;
    while line.read(&mut reader, limits.record_bytes)? {
        number += 1;
        end += line.length;
        if number == 1 {
            line.strip_byte_order_mark();
        }
        if line.content == 0 {
            continue;
        }
        if !(told + 1..number).all(|number| items.bad(number, DataError::EmptyLine)) {
            return Ok(());
        }
        told = number;
        let item = match line.record(limits).and_then(&parse) {
            Ok((fields, json)) => Item::Record(Record { line: number, fields, json, end }),
            Err(error) => Item::Bad { line: number, error },
        };
        if !items.push(item) {
            return Ok(());
        }
    }
    Ok(())
}

/// A line, of which no more is kept than a record may be long.
#[derive(Default)]
struct Line {
    kept: Vec<u8>,
    /// Bytes, the line break included.
    length: u64,
    /// Bytes up to the last that is not blank, whether kept or not.
    content: u64,
}

impl Line {
    /// Reads the next line; `false` at the end of the input.
    fn read(&mut self, reader: &mut impl BufRead, limit: usize) -> io::Result<bool> {
        self.kept.clear();
        self.length = 0;
        self.content = 0;
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
            let part = &available[..taken];
            let room = limit.saturating_add(BYTE_ORDER_MARK.len()).saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&part[..taken.min(room)]);
            if let Some(last) = part.iter().rposition(|byte| !byte.is_ascii_whitespace()) {
                self.content = self.length + last as u64 + 1;
            }
            self.length += taken as u64;
            reader.consume(taken);
            if line_break.is_some() {
                return Ok(true);
            }
        }
    }

    fn strip_byte_order_mark(&mut self) {
        if self.kept.starts_with(BYTE_ORDER_MARK) {
            self.kept.drain(..BYTE_ORDER_MARK.len());
            self.content -= BYTE_ORDER_MARK.len() as u64;
        }
    }

    /// The record, without the blanks behind it, which may be as many as they like.
    fn record(&self, limits: Limits) -> Result<&[u8], DataError> {
        match usize::try_from(self.content) {
            Ok(content) if content <= limits.record_bytes => Ok(&self.kept[..content]),
            _ => Err(DataError::TooLong { bytes: self.length, limits }),
        }
    }
}
