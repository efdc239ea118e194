//! Comma-separated values. The first record decides which columns there are.

use std::io::{self, Write};

use csv::Writer;
use runtime_engine::Answer;
use serde_json::Value;

use super::{Sink, SinkError};
use crate::input::{Record, Written};

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
    fn write(&mut self, record: &Record, answer: &Answer) -> Result<(), SinkError> {
        let fields = || record.fields.keys().chain(answer.outputs.keys());
        if self.columns.is_empty() {
            self.columns = fields().cloned().collect();
            self.writer.write_record(&self.columns).map_err(io::Error::from)?;
        }
        if let Some(field) = fields().find(|field| !self.columns.contains(field)) {
            return Err(SinkError::NoColumn { field: field.clone() });
        }
        let written: Option<Written<'_>> = record.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let cells = self.columns.iter().map(|column| match (answer.outputs.get(column), record.fields.get(column)) {
            (Some(Value::Null), _) | (None, None) => String::new(),
            (Some(value), _) | (None, Some(value @ Value::String(_))) => cell(value),
            (None, Some(value)) => match written.as_ref().and_then(|written| written.get(column)) {
                Some("null") => String::new(),
                Some(text) => text.to_owned(),
                None => cell(value),
            },
        });
        self.writer.write_record(cells).map_err(io::Error::from)?;
        Ok(self.writer.flush()?)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_no_column_is_refused_and_the_rest_written() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let mut written = Vec::new();
        let mut sink = Csv::new(&mut written);
        let mut refused = Vec::new();
        let cases = [
            (json!({"text": "a", "n": null}), json!({"label": "x"})),
            (json!({"text": "b", "new": 1}), json!({"label": "y"})),
            (json!({"text": "c"}), json!({"label": "y", "other": 1})),
            (json!({"text": "d"}), json!({"label": ["z"]})),
        ];
        for (line, (fields, outputs)) in cases.into_iter().enumerate() {
            let record = Record { line, fields: object(fields), json: None, end: 0 };
            let answer = Answer { outputs: object(outputs), rungs: Vec::new(), time: Duration::ZERO, truncated: 0 };
            refused.extend(sink.write(&record, &answer).err().map(|error| error.to_string()));
        }
        sink.finish().expect("a buffer in memory");
        drop(sink);
        assert_eq!(refused.len(), 2);
        assert!(refused[0].contains("`new`") && refused[1].contains("`other`"), "{refused:?}");
        assert_eq!(str::from_utf8(&written), Ok("text,n,label\na,,x\nd,,\"[\"\"z\"\"]\"\n"));
    }
}
