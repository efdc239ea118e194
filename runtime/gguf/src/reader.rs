//! Numbers, texts and lists from the bytes of a file, each checked against what is left before memory is asked for.

use std::io::{ErrorKind, Read};

use crate::{Error, List, Value};

/// The beginning of a file.
pub(crate) struct Reader<R> {
    bytes: R,
    /// Bytes that were read.
    at: u64,
    /// Bytes that there are, up to the limit of a header.
    end: u64,
    limit: u64,
}

impl<R: Read> Reader<R> {
    /// `bytes` from the start of a file of `length` bytes, of which `limit` are read at most.
    pub(crate) fn new(bytes: R, length: u64, limit: u64) -> Self {
        Self { bytes, at: 0, end: length.min(limit), limit }
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// What there is to say where the bytes do not suffice.
    fn short(&self, what: &'static str) -> Error {
        if self.end == self.limit { Error::TooLarge { limit: self.limit } } else { Error::Cut { what, at: self.at } }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        if self.left() < N as u64 {
            return Err(self.short(what));
        }
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn fill(&mut self, to: &mut [u8], what: &'static str) -> Result<(), Error> {
        self.bytes.read_exact(to).map_err(|error| match error.kind() {
            // The file was cut off while it was read.
            ErrorKind::UnexpectedEof => Error::Cut { what, at: self.at },
            _ => Error::Read(error),
        })?;
        self.at += to.len() as u64;
        Ok(())
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of entries, of which each takes `least` bytes or more.
    pub(crate) fn count(&mut self, what: &'static str, least: u64) -> Result<usize, Error> {
        let at = self.at;
        let count = self.u64(what)?;
        let fits = count.checked_mul(least).is_some_and(|bytes| bytes <= self.left());
        let counted = usize::try_from(count).ok().filter(|_| fits);
        let limited = self.end == self.limit;
        counted.ok_or(if limited { Error::TooLarge { limit: self.limit } } else { Error::Count { what, at, count } })
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, Error> {
        let length = self.count(what, 1)?;
        let at = self.at;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes, what)?;
        String::from_utf8(bytes).map_err(|_| Error::Text { what, at })
    }

    pub(crate) fn value(&mut self) -> Result<Value, Error> {
        let at = self.at;
        let id = self.u32(TYPE)?;
        Ok(match id {
            0 => Value::Integer(u8::from_le_bytes(self.array(VALUE)?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array(VALUE)?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array(VALUE)?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array(VALUE)?).into()),
            4 => Value::Integer(u32::from_le_bytes(self.array(VALUE)?).into()),
            5 => Value::Integer(i32::from_le_bytes(self.array(VALUE)?).into()),
            6 => Value::F32(f32::from_le_bytes(self.array(VALUE)?)),
            7 => Value::Bool(self.array::<1>(VALUE)? != [0]),
            8 => Value::Text(self.text(VALUE)?),
            9 => Value::List(self.list()?),
            10 => Value::Integer(u64::from_le_bytes(self.array(VALUE)?).into()),
            11 => Value::Integer(i64::from_le_bytes(self.array(VALUE)?).into()),
            12 => Value::F64(f64::from_le_bytes(self.array(VALUE)?)),
            _ => return Err(Error::ValueType { at, id }),
        })
    }

    fn list(&mut self) -> Result<List, Error> {
        let at = self.at;
        let id = self.u32(TYPE)?;
        Ok(match id {
            0 | 1 => {
                let mut bytes = vec![0; self.count(LIST, 1)?];
                self.fill(&mut bytes, LIST)?;
                List::Bytes(bytes)
            }
            2 => List::Integers(self.numbers(|bytes| u16::from_le_bytes(bytes).into())?),
            3 => List::Integers(self.numbers(|bytes| i16::from_le_bytes(bytes).into())?),
            4 => List::Integers(self.numbers(|bytes| u32::from_le_bytes(bytes).into())?),
            5 => List::Integers(self.numbers(|bytes| i32::from_le_bytes(bytes).into())?),
            6 => List::Floats(self.numbers(|bytes| f32::from_le_bytes(bytes).into())?),
            7 => List::Bools(self.numbers(|bytes: [u8; 1]| bytes != [0])?),
            8 => {
                // A text has its length before it, even an empty one.
                let count = self.count(LIST, size_of::<u64>() as u64)?;
                List::Texts((0..count).map(|_| self.text(VALUE)).collect::<Result<_, _>>()?)
            }
            9 => return Err(Error::Nested { at }),
            10 => List::Integers(self.numbers(|bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX))?),
            11 => List::Integers(self.numbers(i64::from_le_bytes)?),
            12 => List::Floats(self.numbers(f64::from_le_bytes)?),
            _ => return Err(Error::ValueType { at, id }),
        })
    }

    fn numbers<const N: usize, T>(&mut self, number: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        let count = self.count(LIST, N as u64)?;
        (0..count).map(|_| self.array(LIST).map(&number)).collect()
    }
}

const TYPE: &str = "the type of a value";
const VALUE: &str = "a value";
const LIST: &str = "a list";
