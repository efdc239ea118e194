//! A problem at a place in a text, and a list of them.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, SourceCode};

use crate::{Exit, Explain, printable};

/// Bytes `start..end` of a source.
pub type Span = Range<usize>;

/// A text that problems point into: a file, or a value from the command line. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source(Arc<Text>);

#[derive(Debug)]
struct Text {
    name: String,
    written: String,
    /// The same, of the same length, fit for a terminal.
    shown: NamedSource<String>,
}

impl Source {
    /// A source called `name` (a path as the user gave it) with its whole text.
    pub fn new(name: impl AsRef<str>, text: impl Into<String>) -> Self {
        let (name, written) = (name.as_ref().to_owned(), text.into());
        // Line breaks are what places are found by.
        let lines: Vec<String> = written.split('\n').map(printable).collect();
        let shown = NamedSource::new(printable(&name), lines.join("\n"));
        Self(Arc::new(Text { name, written, shown }))
    }

    /// The name that problems print.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.0.written
    }

    /// The 1-based line that holds byte `offset`.
    pub fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text().len());
        1 + self.text().as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
    }
}

/// A place in the source, with what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What; may be empty, then the place alone is underlined.
    pub text: String,
}

/// Something wrong with what a user gave: a message, places, a hint. Its texts are fit for a terminal.
#[derive(Clone, Debug)]
pub struct Problem {
    message: String,
    causes: Option<Arc<Cause>>,
    hint: Option<String>,
    labels: Vec<Label>,
    source: Option<Source>,
    exit: Exit,
}

impl Problem {
    /// A problem with a message (lower case, names in backticks, no full stop).
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: printable(&message.into()), causes: None, hint: None, labels: Vec::new(), source: None, exit }
    }

    /// The same problem, at a place in `source`.
    #[must_use]
    pub fn at(mut self, source: &Source, span: Span, text: impl Into<String>) -> Self {
        self.source = Some(source.clone());
        self.labels.push(Label { span, text: printable(&text.into()) });
        self
    }

    /// The same problem, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()));
        self
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The advice, if any.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The places it points at.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The text it points into.
    pub fn source_text(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The exit code it leads to.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// A problem that says what `error` says, with its causes and its hint.
    pub fn of<E: Explain + ?Sized>(error: &E) -> Self {
        let mut problem = Self::new(error.exit(), error.to_string());
        problem.hint = error.hint().as_deref().map(printable);
        problem.causes = error.source().map(Cause::copy);
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.causes.as_deref().map(|cause| cause as &dyn Error)
    }
}

impl miette::Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| &source.0.shown as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let spans = self.labels.iter().map(|label| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            LabeledSpan::new_with_span(text, label.span.clone())
        });
        (!self.labels.is_empty()).then(|| Box::new(spans) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// An error's chain of causes, kept as text so that a problem can be cloned and outlive it.
#[derive(Debug)]
struct Cause {
    message: String,
    next: Option<Arc<Cause>>,
}

impl Cause {
    fn copy(error: &(dyn Error + 'static)) -> Arc<Self> {
        Arc::new(Self { message: printable(&error.to_string()), next: error.source().map(Self::copy) })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|cause| cause as &dyn Error)
    }
}

/// Several problems, reported together.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// No problem yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of their places, those without a place last.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        let mut order: Vec<&Problem> = self.0.iter().collect();
        order.sort_by_key(|problem| problem.labels.first().map_or(usize::MAX, |label| label.span.start));
        order.into_iter()
    }

    /// `value` if nothing is wrong, else the problems.
    ///
    /// # Errors
    /// Returns `self` where it holds a problem.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The exit code of the gravest: an internal error before a configuration error before the rest.
    pub fn exit(&self) -> Exit {
        let rank = |exit: &Exit| match exit {
            Exit::Internal => 2,
            Exit::Config => 1,
            _ => 0,
        };
        self.0.iter().map(|problem| problem.exit).max_by_key(rank).unwrap_or(Exit::Ok)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for Problems {}
