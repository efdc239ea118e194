//! Results of a task for people: labels with bars, entities and answers marked in their text, the first numbers of a
//! vector. Texts of others are made fit to be printed, and colours are for terminals only.

mod bars;
mod marks;

use std::io::{self, Write};

use runtime_diagnostics::printable;
use runtime_tasks::TaskKind;
use serde_json::{Map, Value};

use super::table::shortened;
use bars::{Scored, bars};
use marks::{Mark, Marks};

/// Columns of the line that says which record it is.
const HEADING_WIDTH: usize = 72;

/// Columns of a label or candidate beside its bar.
const LABEL_WIDTH: usize = 40;

/// Characters of a context that are shown on either side of an answer.
const AROUND: usize = 120;

/// Numbers of a vector that are shown.
const NUMBERS: usize = 8;

/// Tokens whose hidden states are shown.
const TOKENS: usize = 12;

/// Writes results, one below the other.
pub(super) struct Readable<W: Write> {
    writer: W,
    kind: TaskKind,
    marks: Marks,
    /// Whether there is one result only, which needs no heading.
    alone: bool,
}

type Fields = Map<String, Value>;

impl<W: Write> Readable<W> {
    pub(super) fn new(writer: W, kind: TaskKind, colour: bool, alone: bool) -> Self {
        Self { writer, kind, marks: Marks::new(colour), alone }
    }

    pub(super) fn write(&mut self, line: usize, fields: &Fields, result: &Value) -> io::Result<()> {
        let body = self.body(fields, result);
        if self.alone {
            return write!(self.writer, "{body}");
        }
        // Where the text is shown anyway, the number of its line is enough.
        let shows_text = matches!(self.kind, TaskKind::TokenClassification | TaskKind::QuestionAnswering);
        let main = self.kind.inputs().iter().find_map(|input| fields.get(input.name)).filter(|_| !shows_text);
        let heading = main.map(|text| shortened(text, HEADING_WIDTH)).unwrap_or_default();
        let mut lines = body.lines();
        if shows_text {
            writeln!(self.writer, "{line:>5}  {}", lines.next().unwrap_or_default())?;
        } else {
            writeln!(self.writer, "{line:>5}  {heading}")?;
        }
        lines.try_for_each(|line| writeln!(self.writer, "       {line}"))?;
        self.writer.flush()
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn body(&mut self, fields: &Fields, result: &Value) -> String {
        match self.kind {
            TaskKind::TextClassification => bars(&scored(items(result), "label"), LABEL_WIDTH),
            TaskKind::ZeroShotClassification => zero_shot(result),
            TaskKind::TokenClassification => self.entities(fields, result),
            TaskKind::QuestionAnswering => self.answers(fields, result),
            TaskKind::FillMask => candidates(items(result)),
            TaskKind::FeatureExtraction => features(result),
            TaskKind::SentenceEmbedding => vectors(result),
            TaskKind::Similarity => similarity(result),
            TaskKind::TextGeneration | TaskKind::Summarization | TaskKind::Translation => generated(result),
            TaskKind::Rerank => bars(&scored(items(result), "text"), 2 * LABEL_WIDTH),
        }
    }

    fn entities(&mut self, fields: &Fields, result: &Value) -> String {
        let text = match fields.get("text") {
            // As the offsets count them.
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let found = items(result);
        let found = found.first().filter(|first| first.is_array()).map_or(found, |first| items(first));
        let mark = |entity: &Value| {
            let label = entity.get("entity_group").or_else(|| entity.get("entity"))?.as_str()?;
            Some(Mark { from: index(&entity["start"])?, to: index(&entity["end"])?, label: label.to_owned() })
        };
        let marks: Vec<Mark> = found.iter().filter_map(mark).collect();
        format!("{}\n", self.marks.text(&text, &marks))
    }

    fn answers(&mut self, fields: &Fields, result: &Value) -> String {
        let found = if result.is_array() { items(result) } else { std::slice::from_ref(result) };
        let context: Vec<char> = fields.get("context").and_then(Value::as_str).unwrap_or_default().chars().collect();
        let mut text = String::new();
        if let Some(best) = found.first()
            && let (Some(start), Some(end)) = (index(&best["start"]), index(&best["end"]))
            && start < end
            && end <= context.len()
        {
            let (from, to) = (start.saturating_sub(AROUND), (end + AROUND).min(context.len()));
            let excerpt: String = context[from..to].iter().collect();
            let mark = Mark { from: start - from, to: end - from, label: String::new() };
            let cut = |cut: bool| if cut { "…" } else { "" };
            let marked = self.marks.text(&excerpt, &[mark]);
            text = format!("{}{marked}{}\n", cut(from > 0), cut(to < context.len()));
        }
        let answers = scored(found, "answer").into_iter().map(|answer| match answer.label.is_empty() {
            true => Scored { label: "(no answer)".to_owned(), ..answer },
            false => answer,
        });
        text + &bars(&answers.collect::<Vec<_>>(), 2 * LABEL_WIDTH)
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn index(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|index| usize::try_from(index).ok())
}

/// The scores of objects, under the text that each has in `name`.
fn scored(items: &[Value], name: &str) -> Vec<Scored> {
    let one = |item: &Value| {
        let label = item[name].as_str().map_or_else(|| item[name].to_string(), str::to_owned);
        Scored { label, score: item["score"].as_f64().unwrap_or(f64::NAN) }
    };
    items.iter().map(one).collect()
}

fn zero_shot(result: &Value) -> String {
    let several = items(result);
    let each = if several.is_empty() { std::slice::from_ref(result) } else { several };
    let one = |result: &Value| {
        let pairs = items(&result["labels"]).iter().zip(items(&result["scores"]));
        let scored = pairs.map(|(label, score)| Scored {
            label: label.as_str().unwrap_or_default().to_owned(),
            score: score.as_f64().unwrap_or(f64::NAN),
        });
        bars(&scored.collect::<Vec<_>>(), LABEL_WIDTH)
    };
    each.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Of one mask the candidates; of several those of each.
fn candidates(found: &[Value]) -> String {
    let masks = found.iter().any(Value::is_array);
    let one = |found: &[Value]| {
        let sequence = found.first().and_then(|best| best["sequence"].as_str()).unwrap_or_default();
        format!("{}\n{}", printable(sequence), bars(&scored(found, "token_str"), LABEL_WIDTH))
    };
    if masks { found.iter().map(|mask| one(items(mask))).collect() } else { one(found) }
}

/// The texts that were generated; of a conversation, its last message.
fn generated(result: &Value) -> String {
    let texts = items(result)
        .iter()
        .flat_map(|found| if found.is_array() { items(found) } else { std::slice::from_ref(found) });
    let text = |found: &Value| {
        let fields = ["generated_text", "summary_text", "translation_text"];
        let text = fields.iter().find_map(|field| found.get(*field)).unwrap_or(found);
        let last = items(text).last().map_or(text, |message| &message["content"]);
        let lines = last.as_str().unwrap_or_default().lines().map(printable).collect::<Vec<_>>();
        if last.is_string() { lines.join("\n") } else { found.to_string() }
    };
    texts.map(|found| text(found) + "\n").collect()
}

fn features(result: &Value) -> String {
    let tokens = items(result).first().map_or(&[][..], |first| items(first));
    let width = tokens.first().map_or(0, |first| items(first).len());
    let mut text = format!("{} tokens of {width} numbers\n", tokens.len());
    for token in tokens.iter().take(TOKENS) {
        text.push_str(&format!("  {}\n", numbers(items(token))));
    }
    if tokens.len() > TOKENS {
        text.push_str(&format!("  … and {} more\n", tokens.len() - TOKENS));
    }
    text
}

fn vectors(result: &Value) -> String {
    let one = |vector: &Value| format!("{} numbers  {}\n", items(vector).len(), numbers(items(vector)));
    match items(result).first() {
        Some(Value::Array(_)) => items(result).iter().map(one).collect(),
        _ => one(result),
    }
}

fn numbers(vector: &[Value]) -> String {
    let shown = vector.iter().take(NUMBERS).map(|number| format!("{:>8.4}", number.as_f64().unwrap_or(f64::NAN)));
    let more = if vector.len() > NUMBERS { " …" } else { "" };
    shown.collect::<Vec<_>>().join(" ") + more
}

fn similarity(result: &Value) -> String {
    let score = result.as_f64().or_else(|| result["score"].as_f64()).unwrap_or(f64::NAN);
    bars(&[Scored { label: "similarity".to_owned(), score }], LABEL_WIDTH)
}

#[cfg(test)]
mod tests;
