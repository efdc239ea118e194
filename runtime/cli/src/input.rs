//! Records: read on a thread of their own, so that one that waits for standard input holds up no answer.
//!
//! What cannot be read is an item too, with its line, and reading goes on behind it.

mod csv;
mod jsonl;
mod lines;
mod text;
mod written;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, stdin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::executor::block_on;
use futures::sink::SinkExt;
use runtime_diagnostics::{Exit, Explain};
use serde_json::{Map, Value};

use crate::args::Format;
use crate::failure::IoError;

pub(crate) use written::Written;

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
    #[error("a record of {bytes} bytes, and {} is {}", .limits.setting, .limits.record_bytes)]
    TooLong { bytes: u64, limits: Limits },
    #[error(
        "a record that goes on far beyond the {} bytes of {}; is a quote not closed? What follows is not read",
        .limits.record_bytes, .limits.setting
    )]
    NoEnd { limits: Limits },
    #[error("a quote that begins in this record is not closed")]
    OpenQuote,
    #[error("{found} fields, and the header has {expected}")]
    Fields { expected: u64, found: u64 },
    #[error("two columns are called `{0}`")]
    TwoColumns(String),
}

impl Explain for DataError {
    fn exit(&self) -> Exit {
        Exit::Data
    }
}

/// What a reader may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a record.
    pub(crate) record_bytes: usize,
    /// Where that is set, as messages call it.
    pub(crate) setting: &'static str,
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

    /// Starts reading: JSON Lines, or CSV by the ending.
    pub(crate) fn read(&self, limits: Limits) -> Result<Receiver<Item>, IoError> {
        let csv = matches!(self, Self::File(path) if Format::of_file(path) == Format::Csv);
        self.read_as(if csv { Form::Csv } else { Form::JsonLines }, limits)
    }

    /// Starts reading what may be texts, one on each line, which become records of the one field `field`: a file of
    /// texts by its ending, standard input unless it begins as JSON does.
    pub(crate) fn read_texts(&self, field: &'static str, limits: Limits) -> Result<Receiver<Item>, IoError> {
        match self {
            Self::Stdin => self.read_as(Form::Either(field), limits),
            Self::File(_) if self.holds_texts() => self.read_as(Form::Texts(field), limits),
            Self::File(_) => self.read(limits),
        }
    }

    /// Whether it is a file of texts, by its ending.
    pub(crate) fn holds_texts(&self) -> bool {
        let is_text = |path: &Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
        matches!(self, Self::File(path) if is_text(path))
    }

    fn read_as(&self, form: Form, limits: Limits) -> Result<Receiver<Item>, IoError> {
        let failed = |source| IoError::Read { name: self.name(), source };
        let reader: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(stdin()),
            Self::File(path) if path.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Self::File(path) => Box::new(File::open(path).map_err(failed)?),
        };
        let reader = BufReader::with_capacity(1 << 16, reader);
        Ok(start(self.name(), limits.records, move |items| form.read(reader, limits, items)))
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Csv,
    JsonLines,
    /// Texts, for this field.
    Texts(&'static str),
    /// JSON Lines, or texts.
    Either(&'static str),
}

impl Form {
    fn read(self, mut reader: impl BufRead, limits: Limits, items: &mut Items) -> io::Result<()> {
        match self {
            Self::Csv => csv::read(reader, limits, items),
            Self::JsonLines => jsonl::read(reader, limits, items),
            Self::Texts(field) => text::read(reader, field, limits, items),
            Self::Either(field) if text::begins(&mut reader)? => text::read(reader, field, limits, items),
            Self::Either(_) => jsonl::read(reader, limits, items),
        }
    }
}

/// The one item that is `record`.
pub(crate) fn just(record: Record) -> Receiver<Item> {
    let (mut items, receiver) = channel(1);
    // There is room for it, and the receiver is here.
    let _sent = items.try_send(Item::Record(record));
    receiver
}

/// Runs `read` on a thread of its own; what it puts in comes out of the channel.
fn start(
    name: String,
    records: usize,
    read: impl FnOnce(&mut Items) -> io::Result<()> + Send + 'static,
) -> Receiver<Item> {
    let (items, receiver) = channel(AHEAD);
    let mut items = Items { items, left: records, name, empty: true };
    thread::spawn(move || {
        // A thread that panics would look like the end of the input.
        let read = catch_unwind(AssertUnwindSafe(|| read(&mut items)));
        items.finish(read);
    });
    receiver
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

    /// Passes on how reading ended.
    fn finish(mut self, read: thread::Result<io::Result<()>>) {
        let name = std::mem::take(&mut self.name);
        match read {
            Ok(Ok(())) if self.empty => {
                self.bad(1, DataError::NoRecords);
            }
            Ok(Ok(())) => {}
            Ok(Err(source)) => {
                self.send(Item::Failed(IoError::Read { name, source }));
            }
            Err(_) => {
                self.send(Item::Failed(IoError::Defect { name }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
