//! TOML as a tree of values that know their places.
//!
//! The parser of the crate `toml` recovers from an error and goes on, so one pass gives every syntax error. What it
//! puts in place of a value that it could not read becomes [`Value::Invalid`]: reported once, as a syntax error, and
//! skipped by everything after.

use runtime_diagnostics::{Exit, Problem, Problems, Source, Span};
use toml::de::{DeTable, DeValue};

use crate::spanned::Spanned;

/// A value of the tree at its place; a table's place is its header.
pub(crate) type Node = Spanned<Value>;

/// A TOML value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// What could not be read and has been reported.
    Invalid,
}

/// The entries of a table, as the text orders them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) node: Node,
}

impl Value {
    /// The type as a message names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Invalid => "what is not TOML",
        }
    }
}

impl Node {
    /// The string under the key `name` of a table: what tells an element of an array of tables from the others.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.value {
            Value::Table(table) => match &table.get("name")?.value {
                Value::String(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| *entry.key == key).map(|entry| &entry.node)
    }
}

/// The tree of a file and its syntax errors. With such errors the tree is what could be recovered.
pub(crate) fn parse(source: &Source) -> (Node, Problems) {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    let mut converter = Converter::new(source, 0, &errors);
    let root = Value::Table(converter.table(table.into_inner()));
    (Node { value: root, source: source.clone(), span: 0..0 }, converter.problems)
}

/// The value at bytes `from..` of `source`; `None` where they are not one.
pub(crate) fn parse_value(source: &Source, from: usize) -> Option<Node> {
    let value = DeValue::parse(source.text().get(from..)?).ok()?;
    let mut converter = Converter::new(source, from, &[]);
    let span = value.span();
    let node = converter.node(value.into_inner(), span);
    converter.problems.is_empty().then_some(node)
}

struct Converter<'a> {
    source: &'a Source,
    /// Where in the source the parsed text begins, in bytes.
    offset: usize,
    /// The places of syntax errors, whose values are made up.
    broken: Vec<Span>,
    problems: Problems,
}

impl<'a> Converter<'a> {
    fn new(source: &'a Source, offset: usize, errors: &[toml::de::Error]) -> Self {
        let mut converter = Self { source, offset, broken: Vec::new(), problems: Problems::new() };
        let mut reported: Vec<(Span, &str)> = Vec::new();
        for error in errors {
            let span = converter.place(error.span().unwrap_or_default());
            converter.broken.push(span.clone());
            // One bad value makes several errors, each where another reading of it fails; the first says enough.
            match reported.last_mut() {
                Some((last, _)) if last.start <= span.end && span.start <= last.end + 1 => {
                    *last = last.start.min(span.start)..last.end.max(span.end);
                }
                _ => reported.push((span, error.message())),
            }
        }
        for (span, message) in reported {
            let unquoted = source.text()[span.clone()].starts_with(['.', '/', '~']);
            let problem = Problem::new(Exit::Config, message).at(source, span, "");
            converter.problems.push(if unquoted { problem.hint("a text needs quotes") } else { problem });
        }
        converter
    }

    /// `span` in the whole source, held inside it and widened to whole characters.
    fn place(&self, span: Span) -> Span {
        let text = self.source.text();
        let start = text.floor_char_boundary(self.offset.saturating_add(span.start));
        let end = text.ceil_char_boundary(self.offset.saturating_add(span.end));
        start..end.max(start)
    }

    /// Whether the parser made up what it puts at `span`. Where it read no token at all, the span is empty.
    fn is_made_up(&self, span: &Span) -> bool {
        span.is_empty() || self.broken.iter().any(|broken| broken.start <= span.end && span.start <= broken.end)
    }

    fn table(&mut self, table: DeTable<'_>) -> Table {
        let mut entries = Vec::new();
        for (key, value) in table {
            let span = self.place(key.span());
            if !self.is_made_up(&span) {
                let key = Spanned { value: key.into_inner().into_owned(), source: self.source.clone(), span };
                let span = value.span();
                entries.push(Entry { key, node: self.node(value.into_inner(), span) });
            }
        }
        // `toml` sorts by key; files are read from top to bottom.
        entries.sort_by_key(|entry| entry.key.span.start);
        Table(entries)
    }

    fn node(&mut self, value: DeValue<'_>, span: Span) -> Node {
        let span = self.place(span);
        let scalar = !matches!(value, DeValue::Array(_) | DeValue::Table(_));
        let value = if scalar && self.is_made_up(&span) { Value::Invalid } else { self.value(value, &span) };
        Node { value, source: self.source.clone(), span }
    }

    fn value(&mut self, value: DeValue<'_>, span: &Span) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(value) => Value::Datetime(value.to_string()),
            DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
                Ok(value) => Value::Integer(value),
                Err(error) => self.invalid(&error, span),
            },
            DeValue::Float(value) => match value.as_str().parse() {
                Ok(value) => Value::Float(value),
                Err(error) => self.invalid(&error, span),
            },
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| {
                    let span = item.span();
                    self.node(item.into_inner(), span)
                });
                Value::Array(items.collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }

    /// A number that TOML allows and 64 bits cannot hold.
    fn invalid(&mut self, error: &dyn std::error::Error, span: &Span) -> Value {
        self.problems.push(Problem::new(Exit::Config, error.to_string()).at(self.source, span.clone(), ""));
        Value::Invalid
    }
}
