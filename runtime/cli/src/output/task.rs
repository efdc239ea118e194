//! Answers of a task, written in one of several forms.

use std::io::{self, BufWriter, Write};

use runtime_engine::{Answer, TaskAnswer};
use runtime_tasks::TaskKind;
use serde_json::Map;

use super::readable::Readable;
use super::{Output, RESULT, Sink, SinkError, csv, jsonl};
use crate::args::Format;
use crate::failure::IoError;
use crate::input::Record;

/// Takes the answers of a task in the order of the records.
pub(crate) struct TaskSink {
    kind: TaskKind,
    form: Form,
}

enum Form {
    /// The record with the result behind its fields.
    Joined(Box<dyn Sink>),
    /// The record with the outputs of a pipeline step behind its fields.
    Columns(Box<dyn Sink>),
    /// The result alone.
    Bare(BufWriter<Box<dyn Write>>),
    /// For people.
    Readable(Readable<Box<dyn Write>>),
}

impl TaskSink {
    /// Opens an output; `alone` where there is one record, and that from the command line.
    pub(crate) fn open(output: &Output, format: Format, kind: TaskKind, alone: bool) -> Result<Self, IoError> {
        let writer = output.writer()?;
        let form = match format {
            Format::Jsonl if alone => Form::Bare(BufWriter::new(writer)),
            Format::Jsonl => Form::Joined(Box::new(jsonl::JsonLines::new(writer))),
            Format::Csv => Form::Columns(Box::new(csv::Csv::new(writer))),
            Format::Table => Form::Readable(Readable::new(writer, kind, output.shows_colour(), alone)),
        };
        Ok(Self { kind, form })
    }

    /// Writes one.
    pub(crate) fn write(&mut self, record: &Record, answer: TaskAnswer) -> Result<(), SinkError> {
        let TaskAnswer { result, time, .. } = answer;
        match &mut self.form {
            Form::Joined(sink) => {
                let outputs = Map::from_iter([(RESULT.to_owned(), result)]);
                join(&mut **sink, record, &Answer { outputs, rungs: Vec::new(), time, truncated: 0 })
            }
            Form::Columns(sink) => {
                let names = self.kind.outputs().iter().map(|(name, _)| (*name).to_owned());
                let outputs = names.zip(self.kind.output_values(&result)).collect();
                join(&mut **sink, record, &Answer { outputs, rungs: Vec::new(), time, truncated: 0 })
            }
            Form::Bare(writer) => Ok(writeln!(writer, "{result}")?),
            Form::Readable(readable) => Ok(readable.write(record.line, &record.fields, &result)?),
        }
    }

    /// Writes what was held back.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Joined(sink) | Form::Columns(sink) => sink.finish(),
            Form::Bare(writer) => writer.flush(),
            Form::Readable(readable) => readable.finish(),
        }
    }
}

fn join(sink: &mut dyn Sink, record: &Record, answer: &Answer) -> Result<(), SinkError> {
    match answer.outputs.keys().find(|field| record.fields.contains_key(*field)) {
        Some(field) => Err(SinkError::Taken { field: field.clone() }),
        None => sink.write(record, answer),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn record(fields: &Value) -> Record {
        let fields = fields.as_object().cloned().expect("an object");
        Record { line: 1, fields, json: None, end: 0 }
    }

    fn written(format: Format, alone: bool, fields: &Value, result: Value) -> Result<String, SinkError> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("answers");
        let mut sink =
            TaskSink::open(&Output::new(&path), format, TaskKind::TextClassification, alone).expect("a file");
        sink.write(&record(fields), TaskAnswer { result, time: Duration::ZERO, tokens: 1, truncated: 0 })?;
        sink.finish()?;
        Ok(std::fs::read_to_string(path)?)
    }

    #[test]
    fn each_form_has_the_result_and_none_replaces_a_field() {
        let result = json!([{"label": "joy", "score": 0.75}]);
        let found = |format, alone, fields| written(format, alone, &fields, result.clone());
        let text = json!({"id": 1, "text": "a"});
        let joined = r#"{"id":1,"text":"a","result":[{"label":"joy","score":0.75}]}"#;
        assert_eq!(found(Format::Jsonl, false, text.clone()).ok(), Some(format!("{joined}\n")));
        assert_eq!(found(Format::Jsonl, true, text.clone()).ok(), Some(format!("{result}\n")));
        let columns = "id,text,label,score,labels,scores\n1,a,joy,0.75,\"[\"\"joy\"\"]\",[0.75]\n";
        assert_eq!(found(Format::Csv, false, text).ok().as_deref(), Some(columns));
        for (format, field) in [(Format::Jsonl, "result"), (Format::Csv, "score")] {
            let error = found(format, false, json!({"text": "a", (field): 1})).expect_err("it is taken");
            assert!(error.to_string().contains(&format!("a field `{field}` already")), "{error}");
        }
    }
}
