//! `feature-extraction`: the hidden state of each token.

use std::sync::Arc;

use runtime_tensor::Matrix;
use serde_json::Value;

use super::encode::{Encoded, Limit};
use super::scores::{check_finite, number};
use super::{Fields, TaskAnswer};
use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;

/// The hidden states of texts.
pub struct FeatureExtraction {
    model: Arc<LoadedModel>,
    limit: Limit,
}

impl FeatureExtraction {
    /// The hidden states of `model`.
    ///
    /// # Errors
    /// None so far.
    pub fn new(model: Arc<LoadedModel>, truncate: bool) -> Result<Self, Error> {
        let limit = Limit::of(&model.model, truncate);
        Ok(Self { model, limit })
    }

    /// The hidden states of `text` (with `text_pair`): `[1, tokens, hidden]`, as nested lists.
    ///
    /// # Errors
    /// Where a field is missing or wrong, the text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let (text, pair) = (input.text("text")?, input.optional_text("text_pair")?);
        let encoded = self.limit.encode(&self.model.model, text, pair)?;
        let tokens = encoded.sequence.token_ids.len();
        let (states, answer) = hidden_states(&self.model, vec![encoded]).await?;
        let states = states.first().map_or(Value::Null, |states| {
            (0..tokens).map(|token| states.row(token).iter().copied().map(number).collect::<Value>()).collect()
        });
        Ok(TaskAnswer { result: Value::Array(vec![states]), ..answer })
    }
}

/// `[tokens, hidden]` of each sequence, and an answer without a result.
pub(super) async fn hidden_states(
    model: &LoadedModel,
    encoded: Vec<Encoded>,
) -> Result<(Vec<Matrix>, TaskAnswer), Error> {
    let truncated = encoded.iter().filter(|encoded| encoded.truncated).count();
    let tokens = encoded.iter().map(|encoded| encoded.sequence.token_ids.len()).sum();
    let sequences = encoded.into_iter().map(|encoded| encoded.sequence).collect();
    let Answers { rows, time } = model.scheduler.run(sequences).await?;
    rows.iter().try_for_each(|states| check_finite(&states.data))?;
    Ok((rows, TaskAnswer { result: Value::Null, time, tokens, truncated }))
}
