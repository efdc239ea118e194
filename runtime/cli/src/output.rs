//! Answers, written in one of several forms. Standard output carries data only; all else goes to stderr.

mod csv;
mod jsonl;
mod summary;
mod table;

use std::fs::File;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use runtime_diagnostics::Exit;
use runtime_engine::Answer;
use runtime_pipeline::Pipeline;

use crate::args::Format;
use crate::failure::{Failure, IoError};
use crate::input::Record;

pub(crate) use summary::Summary;

/// Where answers go.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Stdout,
    File(PathBuf),
}

/// Takes answers in the order of the records.
pub(crate) trait Sink {
    /// Writes one.
    fn write(&mut self, record: &Record, answer: &Answer) -> io::Result<()>;

    /// Writes what was held back.
    fn finish(&mut self) -> io::Result<()>;
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
        let of_file = |path: &Path| {
            let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
            if csv { Format::Csv } else { Format::Jsonl }
        };
        asked.unwrap_or_else(|| match self {
            Self::Stdout if stdout().is_terminal() => Format::Table,
            Self::Stdout => Format::Jsonl,
            Self::File(path) => of_file(path),
        })
    }

    /// Opens it; a file is begun anew.
    pub(crate) fn open(&self, format: Format, pipeline: &Pipeline) -> Result<Box<dyn Sink>, IoError> {
        let writer: Box<dyn Write> = match self {
            Self::Stdout => Box::new(stdout().lock()),
            Self::File(path) => {
                Box::new(File::create(path).map_err(|source| IoError::Write { name: self.name(), source })?)
            }
        };
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
