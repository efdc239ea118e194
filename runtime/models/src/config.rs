//! What the host reads from `config.json`; the rest is the architecture's.

use std::path::Path;

use runtime_graph::{Config, Head, Refusal};
use serde_json::Value;

use crate::Error;
use crate::folder::read;

/// A model's configuration: its text for the architecture, and the fields that concern the host.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The whole text.
    pub text: String,
    /// The same, parsed.
    pub fields: Config,
    /// `model_type`.
    pub model_type: String,
    /// The head that the checkpoint was trained with, as the first known class of `architectures` says.
    pub head: Option<Head>,
    /// Whether it names Python code (`auto_map`).
    pub remote_code: bool,
    /// `vocab_size`, where it is given.
    pub vocab_size: Option<u32>,
    /// What a classifier was trained for, which decides what becomes of its scores.
    pub problem_type: Option<String>,
    /// The labels of a classifier.
    pub labels: Labels,
}

/// The labels of a classifier, as `id2label` and `label2id` give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// By class, in order of the ids.
    names: Vec<String>,
    /// `label2id` in the order of the file, which decides among several labels that entail.
    ids: Vec<(String, usize)>,
}

impl Labels {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let mut named = Vec::new();
        for (id, label) in entries(config, "id2label") {
            let id = id.parse().map_err(|_| wrong("id2label", "whole numbers as keys", id))?;
            let label = label.as_str().ok_or_else(|| wrong("id2label", "texts as values", &label.to_string()))?;
            named.push((label.to_owned(), id));
        }
        let mut ids = Vec::new();
        for (label, id) in entries(config, "label2id") {
            let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
            ids.push((label.clone(), id.ok_or_else(|| wrong("label2id", "whole numbers as values", label))?));
        }
        if ids.is_empty() {
            ids.clone_from(&named);
        }
        named.sort_by_key(|(_, id)| *id);
        if !named.iter().map(|(_, id)| *id).eq(0..named.len()) {
            return Err(wrong("id2label", "labels for 0, 1, 2 and so on without a gap", "something else"));
        }
        Ok(Self { names: named.into_iter().map(|(label, _)| label).collect(), ids })
    }

    /// By class.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The label of a class, which transformers makes up where the configuration has none.
    pub fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| format!("LABEL_{class}"))
    }

    /// A label of a class that a classifier of `classes` in all does not have, with its id.
    pub fn beyond(&self, classes: usize) -> Option<(&str, usize)> {
        self.ids.iter().find(|(_, id)| *id >= classes).map(|(label, id)| (label.as_str(), *id))
    }

    /// Whether a label says that it means entailment.
    pub fn name_entailment(&self) -> bool {
        self.ids.iter().any(|(label, _)| entails(label))
    }

    /// The class that means entailment, of `classes` in all: the first of `label2id` whose name starts with "entail"
    /// in any case, else the last (as the zero-shot pipeline of transformers has it).
    pub fn entailment(&self, classes: usize) -> usize {
        let found = self.ids.iter().find(|(label, _)| entails(label)).map(|(_, id)| *id);
        found.filter(|id| *id < classes).unwrap_or(classes.saturating_sub(1))
    }
}

fn entails(label: &str) -> bool {
    label.to_lowercase().starts_with("entail")
}

impl ModelConfig {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Self::of_text(read(path)?, path)
    }

    /// The configuration that stands in the file at `path`, or that it amounts to.
    pub(crate) fn of_text(text: String, path: &Path) -> Result<Self, Error> {
        Self::parse(text).map_err(|source| Error::Config { path: path.to_owned(), source })
    }

    fn parse(text: String) -> Result<Self, Refusal> {
        let fields: Config = text.parse()?;
        let model_type = fields.text_or("model_type", "")?.to_owned();
        if model_type.is_empty() {
            return Err(Refusal::Missing { field: "model_type".to_owned() });
        }
        let vocab_size = fields.get("vocab_size").map(|_| fields.size("vocab_size")).transpose()?;
        let labels = Labels::read(&fields)?;
        let remote_code = fields.get("auto_map").is_some();
        let classes = fields.get("architectures").and_then(Value::as_array);
        let head = classes.into_iter().flatten().filter_map(Value::as_str).find_map(Head::of_class);
        let problem_type = fields.get("problem_type").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { text, model_type, head, remote_code, vocab_size, problem_type, labels, fields })
    }
}

fn entries<'a>(config: &'a Config, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    config.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn wrong(field: &str, expected: &str, found: &str) -> Refusal {
    Refusal::Wrong { field: field.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entailment(labels: &str) -> usize {
        let config = ModelConfig::parse(format!(r#"{{"model_type": "bert", {labels}}}"#)).expect("a configuration");
        config.labels.entailment(3)
    }

    #[test]
    fn entailment_is_found_at_any_place_and_spelling() {
        assert_eq!(entailment(r#""label2id": {"CONTRADICTION": 0, "ENTAILMENT": 1, "neutral": 2}"#), 1);
        assert_eq!(entailment(r#""label2id": {"entails": 0, "no": 1, "maybe": 2}"#), 0);
        assert_eq!(entailment(r#""label2id": {"LABEL_0": 0, "LABEL_1": 1, "not_entailment": 2}"#), 2);
        assert_eq!(entailment(r#""id2label": {"2": "neutral", "1": "Entailment", "0": "contradiction"}"#), 1);
        assert_eq!(entailment(r#""label2id": null"#), 2);
    }

    #[test]
    fn labels_with_a_gap_are_refused() {
        let config = ModelConfig::parse(r#"{"model_type": "bert", "id2label": {"0": "a", "2": "b"}}"#.to_owned());
        assert!(matches!(config, Err(Refusal::Wrong { field, .. }) if field == "id2label"));
    }
}
