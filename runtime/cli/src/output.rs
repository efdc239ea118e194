//! Answers, written in one of several forms. Standard output carries data only; all else goes to stderr.

mod csv;
mod jsonl;
mod named;
mod readable;
mod summary;
mod table;
mod task;

use std::fs::File;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Explain};
use runtime_engine::Answer;
use runtime_pipeline::Pipeline;
use serde_json::{Map, Value};

use crate::args::Format;
use crate::failure::{Failure, IoError};
use crate::input::Record;

pub(crate) use named::{hanging, named};
pub(crate) use summary::{Summary, count, number, seconds};
pub(crate) use task::TaskSink;

/// The field of a record that has the result.
const RESULT: &str = "result";

/// Where answers go.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Stdout,
    File(PathBuf),
}

/// Takes a record's answer as one object behind its fields: a line of JSON Lines.
pub(crate) fn write_joined(out: &mut impl Write, record: &Record, result: Value) -> Result<(), SinkError> {
    if record.fields.contains_key(RESULT) {
        return Err(SinkError::Taken { field: RESULT.to_owned() });
    }
    let outputs = Map::from_iter([(RESULT.to_owned(), result)]);
    writeln!(out, "{}", jsonl::joined(record, &outputs))?;
    Ok(out.flush()?)
}

/// Takes answers in the order of the records.
pub(crate) trait Sink {
    /// Writes one.
    fn write(&mut self, record: &Record, answer: &Answer) -> Result<(), SinkError>;

    /// Writes what was held back.
    fn finish(&mut self) -> io::Result<()>;
}

/// Why an answer is not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    /// This one does not fit; others may.
    #[error("the field `{field}` has no column: the first record decided which there are")]
    NoColumn { field: String },
    /// The record has a field of that name.
    #[error("the record has a field `{field}` already, which the answer would replace")]
    Taken { field: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Explain for SinkError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoColumn { .. } | Self::Taken { .. } => Exit::Data,
            Self::Io(_) => Exit::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoColumn { .. } => Some("JSON Lines hold any field: `--format jsonl`".to_owned()),
            Self::Taken { .. } => Some("rename the field in the input".to_owned()),
            Self::Io(_) => None,
        }
    }
}

impl Output {
    /// `-` or a path.
    pub(crate) fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdout } else { Self::File(path.to_owned()) }
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The form to write in, where the command line does not say.
    pub(crate) fn format(&self, asked: Option<Format>) -> Format {
        asked.unwrap_or_else(|| match self {
            Self::Stdout if stdout().is_terminal() => Format::Table,
            Self::Stdout => Format::Jsonl,
            Self::File(path) => Format::of_file(path),
        })
    }

    /// Whether colours are seen there, and wanted.
    fn shows_colour(&self) -> bool {
        matches!(self, Self::Stdout) && stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Opens it; a file is begun anew.
    fn writer(&self) -> Result<Box<dyn Write>, IoError> {
        Ok(match self {
            Self::Stdout => Box::new(stdout().lock()),
            Self::File(path) => {
                Box::new(File::create(path).map_err(|source| IoError::Write { name: self.name(), source })?)
            }
        })
    }

    /// Opens it for the answers of a pipeline.
    pub(crate) fn open(&self, format: Format, pipeline: &Pipeline) -> Result<Box<dyn Sink>, IoError> {
        let writer = self.writer()?;
        Ok(match format {
            Format::Jsonl => Box::new(jsonl::JsonLines::new(writer)),
            Format::Csv => Box::new(csv::Csv::new(writer)),
            Format::Table => Box::new(table::Table::new(writer, pipeline)),
        })
    }
}

/// Writes a text to stderr. Where nobody can read it, it is lost; that is no reason to stop.
pub(crate) fn say(text: &str) {
    let _unread = stderr().write_all(text.as_bytes());
}

/// Writes a text to stdout. A reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<Exit, Failure> {
    match stdout().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(IoError::Write { name: "stdout".to_owned(), source }.into())
        }
        _ => Ok(Exit::Ok),
    }
}
