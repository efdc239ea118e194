//! Aligned columns for people: the line, the text, the outputs, the time.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Row, TableStyle};
use runtime_diagnostics::printable;
use runtime_engine::Answer;
use runtime_pipeline::Pipeline;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Sink, SinkError};
use crate::input::Record;

/// Columns that a text may take.
const TEXT_WIDTH: usize = 56;

/// Columns that an output may take.
const OUTPUT_WIDTH: usize = 32;

/// Rows that are aligned with each other. More are another table, so that a long input is not held in memory.
const PAGE: usize = 500;

pub(super) struct Table<W: Write> {
    writer: W,
    header: Vec<String>,
    rows: Vec<Row>,
    /// The fields of a record that the pipeline reads.
    reads: Vec<String>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(writer: W, pipeline: &Pipeline) -> Self {
        let mut reads: Vec<String> = Vec::new();
        for field in pipeline.fields() {
            if !reads.iter().any(|read| read == field) {
                reads.push(field.to_owned());
            }
        }
        let outputs = pipeline.output.iter().map(|output| output.field.as_str());
        let header = std::iter::once("line").chain(reads.iter().map(String::as_str)).chain(outputs).chain(["ms"]);
        let header = header.map(printable).collect();
        Self { writer, header, rows: Vec::new(), reads }
    }

    /// Writes the rows that there are.
    fn page(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = comfy_table::Table::new();
        let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.header).add_rows(self.rows.drain(..));
        writeln!(self.writer, "{}", table.trim_fmt())
    }
}

impl<W: Write> Sink for Table<W> {
    fn write(&mut self, record: &Record, answer: &Answer) -> Result<(), SinkError> {
        let mut row = Row::new();
        row.add_cell(right(record.line.to_string()));
        for field in &self.reads {
            row.add_cell(record.fields.get(field).map(|value| shortened(value, TEXT_WIDTH)).unwrap_or_default().into());
        }
        for value in answer.outputs.values() {
            row.add_cell(match value {
                Value::Number(number) => {
                    right(number.as_f64().map_or_else(|| number.to_string(), |number| format!("{number:.3}")))
                }
                Value::Null => "-".into(),
                other => shortened(other, OUTPUT_WIDTH).into(),
            });
        }
        row.add_cell(right(format!("{:.0}", answer.time.as_secs_f64() * 1e3)));
        self.rows.push(row);
        if self.rows.len() == PAGE {
            self.page()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.page()?;
        self.writer.flush()
    }
}

fn right(text: String) -> comfy_table::Cell {
    comfy_table::Cell::new(text).set_alignment(CellAlignment::Right)
}

/// On one line, at most `width` columns wide, and without what could command the terminal.
pub(super) fn shortened(value: &Value, width: usize) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = printable(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.width() <= width {
        return text;
    }
    let mut taken = 0;
    let fits = |char: &char| {
        taken += char.width().unwrap_or(0);
        taken < width
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime_diagnostics::Source;
    use serde_json::Map;

    use super::*;

    const PIPELINE: &str = r#"
        name = "mood"
        [models.nli]
        source = "./nli"
        [[steps]]
        name = "mood"
        kind = "zero-shot-classification"
        text = "text"
        model = "nli"
        labels = ["good", "bad"]
    "#;

    #[test]
    fn every_page_has_a_header_and_no_row_is_lost_or_held() {
        let pipeline = runtime_pipeline::parse(&Source::new("p.toml", PIPELINE), &[]).expect("a pipeline");
        let mut written = Vec::new();
        let mut table = Table::new(&mut written, &pipeline);
        for line in 1..=2 * PAGE + 1 {
            let fields = Map::from_iter([("text".to_owned(), Value::from("hello"))]);
            let record = Record { line, fields, json: None, end: 0 };
            let answer = Answer { outputs: Map::new(), rungs: Vec::new(), time: Duration::ZERO, truncated: 0 };
            table.write(&record, &answer).expect("a buffer in memory");
            assert!(table.rows.len() < PAGE);
        }
        table.finish().expect("a buffer in memory");
        drop(table);
        let text = String::from_utf8(written).expect("a text");
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let numbers: Vec<usize> = text.lines().filter_map(first).filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers, (1..=2 * PAGE + 1).collect::<Vec<_>>());
        assert_eq!(text.lines().filter(|line| line.contains("label")).count(), 3);
    }

    #[test]
    fn texts_are_shortened_to_columns_and_cannot_command_the_terminal() {
        assert_eq!(shortened(&Value::from("a\n\u{1b}[31mb"), 20), "a [31mb");
        assert_eq!(shortened(&Value::from("日本語のテキスト"), 9), "日本語の…");
        assert_eq!(shortened(&Value::from("exactly"), 7), "exactly");
    }
}
