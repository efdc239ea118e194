//! The lines of a conversation: edited on a terminal, else read as they are.

use std::io::{self, BufRead, ErrorKind, IsTerminal, stdin, stdout};

use runtime_diagnostics::{Exit, Problem};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};

use crate::failure::{Failure, IoError};
use crate::output::say;

const PROMPT: &str = "> ";

/// Where lines come from.
pub(super) enum Input {
    /// A person, who sees what is edited; the lines before are kept in memory alone.
    Edited(Box<Editor<(), MemHistory>>),
    /// A person, whose terminal does not show standard output.
    Typed,
    /// No person.
    Piped,
}

/// What comes.
pub(super) enum Heard {
    Line(String),
    /// A line that is not UTF-8, from this byte on where that is known.
    NotText(Option<usize>),
    /// Ctrl-C.
    Interrupt,
    End,
}

impl Input {
    pub(super) fn open() -> Result<Self, Failure> {
        if !stdin().is_terminal() {
            return Ok(Self::Piped);
        }
        if !stdout().is_terminal() {
            return Ok(Self::Typed);
        }
        let config = Config::builder().auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history);
        let editor = editor.map_err(|error| Problem::new(Exit::Io, format!("cannot use the terminal: {error}")))?;
        Ok(Self::Edited(Box::new(editor)))
    }

    pub(super) fn is_person(&self) -> bool {
        !matches!(self, Self::Piped)
    }

    /// Waits for what comes next.
    pub(super) fn next(&mut self) -> Result<Heard, Failure> {
        let failed = |source| IoError::Read { name: "stdin".to_owned(), source };
        let editor = match self {
            Self::Edited(editor) => editor,
            Self::Typed => {
                say(PROMPT);
                return Ok(line().map_err(failed)?);
            }
            Self::Piped => return Ok(line().map_err(failed)?),
        };
        match editor.readline(PROMPT) {
            Ok(line) => Ok(Heard::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Heard::Interrupt),
            Err(ReadlineError::Eof) => Ok(Heard::End),
            Err(ReadlineError::Io(source)) if source.kind() == ErrorKind::InvalidData => Ok(Heard::NotText(None)),
            Err(ReadlineError::Io(source)) => Err(failed(source).into()),
            Err(error) => Err(failed(io::Error::other(error)).into()),
        }
    }
}

/// A line of standard input, without its break.
fn line() -> io::Result<Heard> {
    let mut line = Vec::new();
    if stdin().lock().read_until(b'\n', &mut line)? == 0 {
        return Ok(Heard::End);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(match std::str::from_utf8(line) {
        Ok(line) => Heard::Line(line.to_owned()),
        Err(error) => Heard::NotText(Some(error.valid_up_to())),
    })
}
