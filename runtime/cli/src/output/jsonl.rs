//! A JSON object on each line: the record as it was written, with the outputs behind its fields.

use std::io::{self, BufWriter, Write};

use runtime_engine::Answer;
use serde_json::{Map, Value};

use super::{Sink, SinkError};
use crate::input::Record;

pub(super) struct JsonLines<W: Write>(BufWriter<W>);

impl<W: Write> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self(BufWriter::new(writer))
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn write(&mut self, record: &Record, answer: &Answer) -> Result<(), SinkError> {
        writeln!(self.0, "{}", joined(record, &answer.outputs))?;
        // Whoever reads the pipe gets each answer as soon as it is there.
        Ok(self.0.flush()?)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The record's own text is kept where there is one, so that nothing in it is rounded or reordered.
pub(super) fn joined(record: &Record, outputs: &Map<String, Value>) -> String {
    let outputs = Value::Object(outputs.clone()).to_string();
    let fields = match &record.json {
        Some(json) => json.clone(),
        None => Value::Object(record.fields.clone()).to_string(),
    };
    match (fields.strip_suffix('}'), outputs.strip_prefix('{')) {
        (_, Some("}")) => fields,
        (Some(_), Some(_)) if record.fields.is_empty() => outputs,
        (Some(fields), Some(outputs)) => format!("{},{outputs}", fields.trim_end()),
        _ => outputs,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_keeps_its_text_and_gains_the_outputs() {
        let outputs = json!({"label": "billing", "score": 0.5});
        let join = |json: &str, outputs: &Value| {
            let fields = serde_json::from_str(json).expect("an object");
            let record = Record { line: 1, fields, json: Some(json.to_owned()), end: 0 };
            joined(&record, outputs.as_object().expect("an object"))
        };
        let text = r#"{"id": 0.10000000000000000001, "é": "}" }"#;
        let found = join(text, &outputs);
        assert_eq!(found, r#"{"id": 0.10000000000000000001, "é": "}","label":"billing","score":0.5}"#);
        serde_json::from_str::<Value>(&found).expect("it is JSON still");
        assert_eq!(join("{ }", &outputs), outputs.to_string());
        assert_eq!(join(text, &json!({})), text);
    }
}
