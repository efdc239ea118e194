//! Aligned columns for people: the line, the text, the outputs, the time.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Row, TableStyle};
use runtime_engine::Answer;
use runtime_pipeline::{Pipeline, Reference};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Sink;
use crate::input::Record;

/// Columns that a text may take.
const TEXT_WIDTH: usize = 56;

/// Columns that an output may take.
const OUTPUT_WIDTH: usize = 32;

pub(super) struct Table<W: Write> {
    writer: W,
    table: comfy_table::Table,
    /// The fields of a record that the pipeline reads.
    reads: Vec<String>,
    rows: usize,
}

impl<W: Write> Table<W> {
    pub(super) fn new(writer: W, pipeline: &Pipeline) -> Self {
        let mut reads: Vec<String> = Vec::new();
        for step in &pipeline.steps {
            if let Reference::Field(field) = step.kind.text()
                && !reads.contains(field)
            {
                reads.push(field.clone());
            }
        }
        let mut table = comfy_table::Table::new();
        let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        let outputs = pipeline.output.iter().map(|output| output.field.clone());
        let header = std::iter::once("line".to_owned()).chain(reads.iter().cloned()).chain(outputs);
        table.set_header(header.chain(std::iter::once("ms".to_owned())));
        Self { writer, table, reads, rows: 0 }
    }
}

impl<W: Write> Sink for Table<W> {
    fn write(&mut self, record: &Record, answer: &Answer) -> io::Result<()> {
        let mut row = Row::new();
        row.add_cell(right(record.line.to_string()));
        for field in &self.reads {
            row.add_cell(record.fields.get(field).map(|value| shortened(value, TEXT_WIDTH)).unwrap_or_default().into());
        }
        for value in answer.outputs.values() {
            row.add_cell(match value {
                Value::Number(number) => {
                    right(number.as_f64().map_or_else(String::new, |number| format!("{number:.3}")))
                }
                Value::Null => "-".into(),
                other => shortened(other, OUTPUT_WIDTH).into(),
            });
        }
        row.add_cell(right(format!("{:.0}", answer.time.as_secs_f64() * 1e3)));
        self.table.add_row(row);
        self.rows += 1;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            writeln!(self.writer, "{}", self.table.trim_fmt())?;
        }
        self.writer.flush()
    }
}

fn right(text: String) -> comfy_table::Cell {
    comfy_table::Cell::new(text).set_alignment(CellAlignment::Right)
}

/// On one line, at most `width` columns wide, and without control characters, which could command the terminal.
fn shortened(value: &Value, width: usize) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
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
    use super::*;

    #[test]
    fn texts_are_shortened_to_columns_and_cannot_command_the_terminal() {
        assert_eq!(shortened(&Value::from("a\n\u{1b}[31mb"), 20), "a [31mb");
        assert_eq!(shortened(&Value::from("日本語のテキスト"), 9), "日本語の…");
        assert_eq!(shortened(&Value::from("exactly"), 7), "exactly");
    }
}
