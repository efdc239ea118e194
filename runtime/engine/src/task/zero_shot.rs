//! `zero-shot-classification`: the pipeline's form over [`ZeroShot`].

use std::sync::Arc;

use futures::future::try_join_all;
use runtime_pipeline::Template;
use runtime_tasks::{ZeroShot as Options, split_labels};
use serde_json::{Value, json};

use super::scores::number;
use super::{Fields, TaskAnswer};
use crate::registry::LoadedModel;
use crate::{Classification, Error, ZeroShot, ZeroShotOptions};

/// A classifier whose labels are fixed, or come with each input.
pub struct ZeroShotClassification {
    model: Arc<LoadedModel>,
    template: Template,
    multi_label: bool,
    truncate: bool,
    fixed: Option<ZeroShot>,
}

impl ZeroShotClassification {
    /// A classifier that asks `model`.
    ///
    /// # Errors
    /// Where the template has no place for a label, or the labels are empty or repeated.
    pub fn new(model: Arc<LoadedModel>, options: &Options, truncate: bool) -> Result<Self, Error> {
        let template = options.hypothesis_template.parse()?;
        let mut task = Self { model, template, multi_label: options.multi_label, truncate, fixed: None };
        task.fixed = options.candidate_labels.clone().map(|labels| task.classifier(labels)).transpose()?;
        Ok(task)
    }

    fn classifier(&self, labels: Vec<String>) -> Result<ZeroShot, Error> {
        let (template, multi_label, truncate) = (self.template.clone(), self.multi_label, self.truncate);
        ZeroShot::new(Arc::clone(&self.model), ZeroShotOptions { labels, template, multi_label, truncate })
    }

    /// Scores `candidate_labels` for `sequences` (or `text`): `{sequence, labels, scores}` for a text, a list of these
    /// for a list.
    ///
    /// # Errors
    /// Where a field is missing or wrong, a hypothesis leaves no place for the text, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let field = if input.get("sequences").is_some() { "sequences" } else { "text" };
        let texts = input.texts(field)?;
        let own = input.get("candidate_labels").map(|labels| self.classifier(read_labels(labels)?)).transpose()?;
        let classifier = own.as_ref().or(self.fixed.as_ref()).ok_or(Error::NoLabels)?;
        let found = try_join_all(texts.iter().map(|text| classifier.classify(text))).await?;
        let (time, tokens) = (found.iter().map(|one| one.time).sum(), found.iter().map(|one| one.tokens).sum());
        let truncated = found.iter().filter(|one| one.truncated).count();
        let mut results: Vec<Value> = texts.iter().zip(found).map(|(text, found)| result(text, found)).collect();
        let result = match input.get(field) {
            Some(Value::Array(_)) => Value::Array(results),
            _ => results.pop().unwrap_or(Value::Null),
        };
        Ok(TaskAnswer { result, time, tokens, truncated })
    }

    /// The class that means entailment.
    pub(crate) fn entailment(&self) -> usize {
        self.model.model.labels.entailment(self.model.model.width)
    }
}

fn result(text: &str, found: Classification) -> Value {
    let scores: Vec<Value> = found.scores.into_iter().map(number).collect();
    json!({"sequence": text, "labels": found.labels, "scores": scores})
}

/// A list of labels, or a text with commas between them.
fn read_labels(value: &Value) -> Result<Vec<String>, Error> {
    let field = "candidate_labels";
    match value {
        Value::String(text) => Ok(split_labels(text)),
        Value::Array(items) => {
            let text = |item: &Value| match item {
                Value::String(text) => Ok(text.clone()),
                other => Err(Error::NoText { field, found: crate::type_name(other) }),
            };
            items.iter().map(text).collect()
        }
        other => Err(Error::NoText { field, found: crate::type_name(other) }),
    }
}
