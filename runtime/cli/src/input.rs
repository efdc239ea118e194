//! Records: read on a thread of their own, so that one that waits for standard input holds up no answer.
//!
//! What cannot be read is an item too, with its line, and reading goes on behind it.

mod csv;
mod jsonl;

use std::fs::File;
use std::io::{self, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::thread;

use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::executor::block_on;
use futures::sink::SinkExt;
use serde_json::{Map, Value};

use crate::failure::IoError;

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

/// A record, and where it stands.
#[derive(Debug)]
pub(crate) struct Record {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) fields: Map<String, Value>,
    /// The object as it was written, where it was JSON: numbers of any precision survive in it.
    pub(crate) json: Option<String>,
    /// Bytes of the input up to its end.
    pub(crate) end: u64,
}

/// What is read.
#[derive(Debug)]
pub(crate) enum Item {
    Record(Record),
    Bad { line: usize, error: DataError },
    Failed(IoError),
}

/// Why something in the input is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error("the input is empty")]
    NoRecords,
    #[error("an empty line is no record")]
    EmptyLine,
    #[error("not UTF-8 from byte {0} of the line on")]
    NotUtf8(usize),
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not a JSON object but {0}")]
    NotAnObject(&'static str),
    #[error("a record of {bytes} bytes, and `input.max_record_bytes` is {limit}")]
    TooLong { bytes: u64, limit: usize },
    #[error("{found} fields, and the header has {expected}")]
    Fields { expected: u64, found: u64 },
    #[error("two columns are called `{0}`")]
    TwoColumns(String),
}

/// What a reader may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a record.
    pub(crate) record_bytes: usize,
    /// Records in all.
    pub(crate) records: usize,
}

/// Items that are read ahead.
const AHEAD: usize = 256;

impl Input {
    /// `-` or a path.
    pub(crate) fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Its length in bytes, where that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()),
        }
    }

    /// Starts reading.
    pub(crate) fn read(&self, limits: Limits) -> Result<Receiver<Item>, IoError> {
        let failed = |source| IoError::Read { name: self.name(), source };
        let (reader, csv): (Box<dyn Read + Send>, bool) = match self {
            Self::Stdin => (Box::new(stdin()), false),
            Self::File(path) if path.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Self::File(path) => {
                let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
                (Box::new(File::open(path).map_err(failed)?), csv)
            }
        };
        let (items, receiver) = channel(AHEAD);
        let mut items = Items { items, left: limits.records, name: self.name(), empty: true };
        thread::spawn(move || {
            let reader = BufReader::with_capacity(1 << 16, reader);
            let read =
                if csv { csv::read(reader, limits, &mut items) } else { jsonl::read(reader, limits, &mut items) };
            items.finish(read);
        });
        Ok(receiver)
    }
}

/// Where readers put what they find.
struct Items {
    items: Sender<Item>,
    left: usize,
    name: String,
    empty: bool,
}

impl Items {
    /// Passes an item on; `false` where no more is wanted.
    fn push(&mut self, item: Item) -> bool {
        self.empty = false;
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.send(item) && self.left > 0
    }

    fn bad(&mut self, line: usize, error: DataError) -> bool {
        self.push(Item::Bad { line, error })
    }

    /// Fails only where nobody listens any more.
    fn send(&mut self, item: Item) -> bool {
        block_on(self.items.send(item)).is_ok()
    }

    fn finish(mut self, read: io::Result<()>) {
        match read {
            Ok(()) if self.empty => {
                self.bad(1, DataError::NoRecords);
            }
            Ok(()) => {}
            Err(source) => {
                let name = std::mem::take(&mut self.name);
                self.send(Item::Failed(IoError::Read { name, source }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
