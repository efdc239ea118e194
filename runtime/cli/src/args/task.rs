//! `runtime task`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as ClapArgs;
use runtime_diagnostics::nearest;
use runtime_tasks::{Dtype, TaskKind};
use serde_json::Value;

use super::{Format, ModelArgs};

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER)]
pub(crate) struct Task {
    /// What to do, such as `text-classification` or `question-answering`
    #[arg(value_parser = parse_task)]
    pub(crate) task: TaskKind,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// A parameter of the task, such as `top_k=3`; the value is JSON, or else a text
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<Param>,
    /// Refuse a text that is longer than the model takes, instead of cutting it off
    #[arg(long)]
    pub(crate) no_truncate: bool,
    /// The text: the first field of the task that no other argument gives
    #[arg(conflicts_with = "input")]
    pub(crate) text: Option<String>,
    /// The second text of a pair
    #[arg(long, value_name = "TEXT")]
    pub(crate) text_pair: Option<String>,
    /// What is asked
    #[arg(long, value_name = "TEXT")]
    pub(crate) question: Option<String>,
    /// Where the answer is looked for
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// What documents are ordered by
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    /// A document to put in order; may be repeated
    #[arg(long = "document", value_name = "TEXT")]
    pub(crate) documents: Vec<String>,
    /// The labels to choose from, with commas between them
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
    /// The records: JSON Lines, CSV or lines of text (`.txt`) by the ending; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where the answers go; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// How they are written [default: for people on a terminal, CSV to a file of that ending, else JSON Lines]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Answer the first N records only
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

const AFTER: &str = "Tasks: text-classification, zero-shot-classification, token-classification (or ner), \
                     question-answering, fill-mask, feature-extraction, sentence-embedding, similarity, rerank, \
                     text-generation, summarization, translation.";

impl Task {
    /// The fields that arguments other than the text give, each with its argument.
    pub(crate) fn fields(&self) -> Vec<(&'static str, &'static str, Value)> {
        let texts = [
            ("text_pair", "--text-pair", &self.text_pair),
            ("question", "--question", &self.question),
            ("context", "--context", &self.context),
            ("query", "--query", &self.query),
        ];
        let lists = [("documents", "--document", &self.documents), ("candidate_labels", "--labels", &self.labels)];
        let texts =
            texts.into_iter().filter_map(|(field, flag, text)| Some((field, flag, Value::from(text.as_deref()?))));
        let lists = lists.into_iter().filter(|(.., list)| !list.is_empty());
        texts.chain(lists.map(|(field, flag, list)| (field, flag, Value::from(list.as_slice())))).collect()
    }
}

/// The argument that gives a field.
pub(crate) fn flag_of(field: &str) -> String {
    match field {
        "documents" => "--document".to_owned(),
        "candidate_labels" => "--labels".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    }
}

fn parse_task(name: &str) -> Result<TaskKind, String> {
    TaskKind::named(name).ok_or_else(|| {
        let names = || TaskKind::ALL.map(TaskKind::name);
        match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it can be {}", names().join(", ")),
        }
    })
}

pub(super) fn parse_dtype(name: &str) -> Result<Dtype, String> {
    Dtype::named(name).ok_or_else(|| format!("it can be {}", Dtype::ALL.map(Dtype::name).join(", ")))
}

/// One `--param NAME=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl FromStr for Param {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
                Ok(Self { name: name.trim().to_owned(), value })
            }
            _ => Err("write `NAME=VALUE`, such as `top_k=3`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_json_or_else_a_text() {
        let value = |text: &str| text.parse::<Param>().map(|param| param.value);
        assert_eq!(value("top_k=null"), Ok(Value::Null));
        assert_eq!(value("top_k=3"), Ok(json!(3)));
        assert_eq!(value("targets=[\"a\", \"b\"]"), Ok(json!(["a", "b"])));
        assert_eq!(value("aggregation_strategy=simple"), Ok(json!("simple")));
        assert_eq!(value("prompt=a = b"), Ok(json!("a = b")));
        assert_eq!(value("prompt="), Ok(json!("")));
        assert_eq!(value("prompt=\"3\""), Ok(json!("3")));
        assert!(value("top_k").is_err() && value("=3").is_err());
    }

    #[test]
    fn the_help_names_every_task() {
        assert!(TaskKind::ALL.iter().all(|kind| AFTER.contains(kind.name())));
    }

    #[test]
    fn each_field_of_each_task_but_the_text_has_an_argument() {
        use clap::CommandFactory;
        let command = crate::args::Args::command();
        let task = command.find_subcommand("task").expect("the command");
        for input in TaskKind::ALL.into_iter().flat_map(TaskKind::inputs).filter(|input| input.name != "text") {
            let flag = flag_of(input.name);
            let known = task.get_arguments().any(|argument| argument.get_long() == flag.strip_prefix("--"));
            assert!(known, "{flag}");
        }
    }
}
