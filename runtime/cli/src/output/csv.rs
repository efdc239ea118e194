//! Comma-separated values. The first record decides which columns there are.

use std::io::{self, Write};

use csv::Writer;
use runtime_engine::Answer;
use serde_json::Value;

use super::Sink;
use crate::input::Record;

pub(super) struct Csv<W: Write> {
    writer: Writer<W>,
    columns: Vec<String>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer: Writer::from_writer(writer), columns: Vec::new() }
    }
}

impl<W: Write> Sink for Csv<W> {
    fn write(&mut self, record: &Record, answer: &Answer) -> io::Result<()> {
        if self.columns.is_empty() {
            self.columns = record.fields.keys().chain(answer.outputs.keys()).cloned().collect();
            self.writer.write_record(&self.columns)?;
        }
        let columns = &self.columns;
        if let Some(field) = record.fields.keys().find(|field| !columns.contains(field)) {
            let message = format!("line {} has a field `{field}` that the first record has not", record.line);
            let advice = "a CSV file cannot gain a column; write JSON Lines with `--format jsonl`";
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{message}; {advice}")));
        }
        let value = |column: &String| answer.outputs.get(column).or_else(|| record.fields.get(column));
        self.writer.write_record(columns.iter().map(|column| value(column).map(cell).unwrap_or_default()))?;
        self.writer.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Texts as they are, nothing for null, and JSON for all else.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
