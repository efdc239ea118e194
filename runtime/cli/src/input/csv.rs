//! Comma-separated values with a header (RFC 4180); every field is a text. Empty lines are passed over.

use std::collections::HashSet;
use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::{DataError, Item, Items, Limits, Record};

/// Bytes that a record may exceed its limit by and still be passed over alone. Beyond that a quote is taken to be left
/// open: the rest of the input would be one record, and is not read.
const LEEWAY: usize = 1 << 20;

pub(super) fn read(reader: impl Read, limits: Limits, items: &mut Items) -> io::Result<()> {
    let room = limits.record_bytes.saturating_add(LEEWAY);
    let held = Held { reader, bytes: Vec::new(), room, full: false, ended: false };
    let mut rows = Rows {
        reader: ReaderBuilder::new().has_headers(false).flexible(true).from_reader(held),
        row: ByteRecord::new(),
        line: 1,
        end: 0,
    };
    let mut header: Option<Vec<String>> = None;
    while let Some((line, read)) = rows.next()? {
        let Some(raw) = read else {
            items.bad(line, DataError::NoEnd { limits });
            return Ok(());
        };
        // The parser takes the end of the input for the quote that is missing.
        if rows.reader.get_ref().ended && quote_is_open(&raw) {
            items.bad(line, DataError::OpenQuote);
            return Ok(());
        }
        let Some(columns) = &header else {
            match read_header(&rows.row) {
                Ok(columns) => header = Some(columns),
                Err(error) => {
                    items.bad(line, error);
                    return Ok(());
                }
            }
            continue;
        };
        let item = match fields(columns, &rows.row, &raw, limits) {
            Ok(fields) => Item::Record(Record { line, fields, json: None, end: rows.end }),
            Err(error) => Item::Bad { line, error },
        };
        if !items.push(item) {
            return Ok(());
        }
    }
    Ok(())
}

fn read_header(row: &ByteRecord) -> Result<Vec<String>, DataError> {
    let mut known = HashSet::new();
    let column = |name| {
        let name = str::from_utf8(name).map_err(|error| DataError::NotUtf8(error.valid_up_to()))?;
        let name = name.trim_start_matches('\u{feff}');
        if known.insert(name) { Ok(name.to_owned()) } else { Err(DataError::TwoColumns(name.to_owned())) }
    };
    row.iter().map(column).collect()
}

/// Whether a record, as it was written, ends within quotes. As the parser has it, a quote opens a field at its
/// beginning only, and is part of the text anywhere else.
fn quote_is_open(raw: &[u8]) -> bool {
    #[derive(PartialEq, Eq)]
    enum At {
        Start,
        Plain,
        Quoted,
        /// Behind a quote within quotes: it closes the field, or is the first of two that stand for one.
        Quote,
    }
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    let end = raw.iter().fold(At::Start, |at, byte| match (at, byte) {
        (At::Quoted, b'"') => At::Quote,
        (At::Quoted, _) | (At::Start | At::Quote, b'"') => At::Quoted,
        (_, b',') => At::Start,
        _ => At::Plain,
    });
    end == At::Quoted
}

fn fields(columns: &[String], row: &ByteRecord, raw: &[u8], limits: Limits) -> Result<Map<String, Value>, DataError> {
    if raw.len() > limits.record_bytes {
        return Err(DataError::TooLong { bytes: raw.len() as u64, limits });
    }
    if row.len() != columns.len() {
        return Err(DataError::Fields { expected: columns.len() as u64, found: row.len() as u64 });
    }
    let not_utf8 = |error: std::str::Utf8Error| DataError::NotUtf8(error.valid_up_to());
    // The whole record first, for a place that counts from its beginning.
    str::from_utf8(raw).map_err(not_utf8)?;
    let text = |field| str::from_utf8(field).map_err(not_utf8);
    columns.iter().zip(row).map(|(name, field)| Ok((name.clone(), Value::from(text(field)?)))).collect()
}

/// Reads row by row, and knows where each began: the parser itself counts the break of a line ended by CR LF, and
/// empty lines, to the row behind them.
struct Rows<R> {
    reader: Reader<Held<R>>,
    row: ByteRecord,
    /// The line that is read next.
    line: usize,
    /// Bytes up to the end of the row.
    end: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the next row: its line, and how it was written, or `None` where it does not end.
    fn next(&mut self) -> io::Result<Option<(usize, Option<Vec<u8>>)>> {
        let read = self.reader.read_byte_record(&mut self.row);
        let held = self.reader.get_ref();
        let breaks = held.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let line = self.line + line_breaks(&held.bytes[..breaks]);
        match read {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(_) if held.full => return Ok(Some((line, None))),
            Err(error) => return Err(io_error(error)),
        }
        let start = std::mem::replace(&mut self.end, self.reader.position().byte());
        let length = usize::try_from(self.end - start).unwrap_or(usize::MAX);
        let mut raw: Vec<u8> = self.reader.get_mut().bytes.drain(..length).skip(breaks).collect();
        self.line = line + line_breaks(&raw);
        raw.truncate(raw.len() - raw.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count());
        Ok(Some((line, Some(raw))))
    }
}

fn line_breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Keeps what has been read since the last row, and refuses to read more than there is room for: a row is held in
/// memory as a whole.
struct Held<R> {
    reader: R,
    bytes: Vec<u8>,
    room: usize,
    full: bool,
    /// Whether the end of the input has been read.
    ended: bool,
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Whoever asks for more has used up all that is held, so that it is all of one row.
        if self.bytes.len() > self.room {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.reader.read(buffer)?;
        self.ended = read == 0;
        self.bytes.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}
