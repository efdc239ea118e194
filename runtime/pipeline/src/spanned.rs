//! A value that knows where it was written.

use std::ops::Deref;

use runtime_diagnostics::{Exit, Problem, Source, Span};

/// A value with its place: bytes `span` of `source`, which is the file or one override of the command line.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The text that holds it.
    pub source: Source,
    /// Where in that text.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A problem that points at this value.
    pub fn problem(&self, exit: Exit, message: impl Into<String>) -> Problem {
        Problem::new(exit, message).at(&self.source, self.span.clone(), "")
    }

    /// A mistake in the pipeline's file that points at this value and says `label` there.
    pub(crate) fn mistake(&self, message: impl Into<String>, label: impl Into<String>) -> Problem {
        Problem::new(Exit::Config, message).at(&self.source, self.span.clone(), label)
    }

    /// Something that is legal but cannot be meant.
    pub(crate) fn warning(&self, message: impl Into<String>) -> Problem {
        self.problem(Exit::Ok, message)
    }

    /// Another value at the same place.
    pub(crate) fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned { value, source: self.source.clone(), span: self.span.clone() }
    }

    /// `line 3`, or `line 3 of other.toml` seen from another text.
    pub(crate) fn line_seen_from(&self, source: &Source) -> String {
        let line = self.source.line(self.span.start);
        if self.source.name() == source.name() {
            format!("line {line}")
        } else {
            format!("line {line} of {}", self.source.name())
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
