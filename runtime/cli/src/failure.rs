//! How a command fails, and what the user reads then.

use std::io::{IsTerminal, stderr};

use runtime_diagnostics::{Exit, Explain, Problem, Problems, Style, chain, printable, render};

use crate::output::say;
use crate::watch::WatchError;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure(Problems);

impl Failure {
    /// Prints what is wrong on stderr; the exit code.
    pub(crate) fn report(&self) -> Exit {
        report(&self.0);
        self.0.exit()
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self(problems)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem.into())
    }
}

impl From<runtime_engine::Error> for Failure {
    fn from(error: runtime_engine::Error) -> Self {
        Problem::of(&error).into()
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Problem::of(&error).into()
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Problem::of(&error).into()
    }
}

/// Prints problems on stderr.
pub(crate) fn report(problems: &Problems) {
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = Style { colour, ..Style::default() };
    for problem in problems.iter() {
        say(&format!("{}\n", render(problem, style).trim_end()));
    }
}

/// Tells on one line of stderr what is wrong at a `place`, which ends in `: ` or is empty.
pub(crate) fn complain(place: &str, error: &impl Explain) {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    say(&format!("{}\n", printable(&format!("{place}{}{hint}", chain(error)))));
}

/// A failure of reading or writing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IoError {
    #[error("cannot read `{name}`")]
    Read { name: String, source: std::io::Error },
    #[error("cannot write `{name}`")]
    Write { name: String, source: std::io::Error },
    #[error("reading `{name}` ended by a defect of this program")]
    Defect { name: String },
}

impl Explain for IoError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::NoInput,
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::IsADirectory => Exit::NoInput,
            Self::Read { .. } | Self::Write { .. } => Exit::Io,
            Self::Defect { .. } => Exit::Internal,
        }
    }
}
