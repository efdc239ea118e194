//! `text-classification`: labels a text, or a text and its pair.

use std::sync::Arc;

use runtime_tasks::{Function, TextClassification as Options, TopK};
use serde_json::{Value, json};

use super::encode::{Encoded, Limit};
use super::scores::{apply, check_finite, descending, number};
use super::{Fields, TaskAnswer};
use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;

/// A classifier of texts.
pub struct TextClassification {
    model: Arc<LoadedModel>,
    function: Function,
    top_k: TopK,
    limit: Limit,
}

/// Which function the pipeline applies where it is not told: by the model's `problem_type`, else by its classes.
fn default_function(problem_type: Option<&str>, classes: usize) -> Function {
    match problem_type {
        Some("regression") => Function::None,
        Some("multi_label_classification") => Function::Sigmoid,
        _ if classes == 1 => Function::Sigmoid,
        _ => Function::Softmax,
    }
}

impl TextClassification {
    /// A classifier that asks `model`.
    ///
    /// # Errors
    /// None so far.
    pub fn new(model: Arc<LoadedModel>, options: &Options, truncate: bool) -> Result<Self, Error> {
        let loaded = &model.model;
        let function = options.function_to_apply;
        let function = function.unwrap_or_else(|| default_function(loaded.problem_type.as_deref(), loaded.width));
        let limit = Limit::of(loaded, truncate);
        Ok(Self { function, top_k: options.top_k, limit, model })
    }

    /// Labels `text` (with `text_pair`): a list of `{label, score}`, the best first.
    ///
    /// # Errors
    /// Where a field is missing or wrong, the text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let (logits, answer) = self.logits(input).await?;
        Ok(TaskAnswer { result: self.result(&logits), ..answer })
    }

    /// The labels for raw scores.
    pub(crate) fn result(&self, logits: &[f32]) -> Value {
        let scores = apply(self.function, logits);
        let mut order = descending(&scores);
        if let TopK::Best(count) = self.top_k {
            order.truncate(count);
        }
        let labels = &self.model.model.labels;
        let label = |class: usize| json!({"label": labels.name(class), "score": number(scores[class])});
        Value::Array(order.into_iter().map(label).collect())
    }

    /// The raw scores of `text` (with `text_pair`), one for each class, and an answer without a result.
    pub(crate) async fn logits(&self, input: Fields<'_>) -> Result<(Vec<f32>, TaskAnswer), Error> {
        let (text, pair) = (input.text("text")?, input.optional_text("text_pair")?);
        let Encoded { sequence, truncated } = self.limit.encode(&self.model.model, text, pair)?;
        let tokens = sequence.token_ids.len();
        let Answers { rows, time } = self.model.scheduler.run(vec![sequence]).await?;
        let logits: Vec<f32> = rows.into_iter().flat_map(|row| row.data).collect();
        check_finite(&logits)?;
        Ok((logits, TaskAnswer { result: Value::Null, time, tokens, truncated: usize::from(truncated) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_that_of_the_problem() {
        assert_eq!(default_function(None, 3), Function::Softmax);
        assert_eq!(default_function(None, 1), Function::Sigmoid);
        assert_eq!(default_function(Some("single_label_classification"), 1), Function::Sigmoid);
        assert_eq!(default_function(Some("multi_label_classification"), 3), Function::Sigmoid);
        assert_eq!(default_function(Some("regression"), 1), Function::None);
        assert_eq!(default_function(Some("regression"), 3), Function::None);
    }
}
