//! The cases of `seq2seq-logits`: the scores of a decoder behind each token of a target, which has a source.

use runtime_models::ModelConfig;
use runtime_tensor::{BLOCK, Batch, Cache, Cached, Matrix, Plan};
use serde_json::{Value, json};

use super::causal::{negative_log_likelihood, token_ids, with_best};
use super::hidden_states::result;
use crate::registry::LoadedModel;
use crate::{Error, Fields, ScheduleError};

/// Scores of the whole vocabulary for each token of `target`, behind those before it; `base` is the encoder alone.
pub(super) async fn seq2seq_logits(
    model: &LoadedModel,
    base: &LoadedModel,
    config: &ModelConfig,
    input: Fields<'_>,
) -> Result<Value, Error> {
    let source = token_ids(model, input, "text")?;
    let labels = token_ids(model, input, "target")?;
    let decoder_ids = shifted(config, &labels)?;
    let logits = scores(&*model.model.plan, &source, &decoder_ids)?;
    let states = super::causal::scores(base, &source).await?;

    let mut fields = with_best(&source, &logits);
    let losses = (0..).zip(&labels).map(|(row, label)| negative_log_likelihood(logits.row(row), *label));
    fields.insert("token_nll".to_owned(), losses.collect());
    let Value::Object(mut states) = result(&source, &states) else { return Ok(Value::Null) };
    states.remove("input_ids");
    fields.insert("encoder_last_hidden_state".to_owned(), Value::Object(states));
    fields.insert("decoder_input_ids".to_owned(), json!(decoder_ids));
    fields.insert("labels".to_owned(), json!(labels));
    Ok(Value::Object(fields))
}

/// The labels one place on, behind the token that a target begins with: in mBART the last label, which names the
/// language.
fn shifted(config: &ModelConfig, labels: &[u32]) -> Result<Vec<u32>, Error> {
    let last = labels.last().copied().unwrap_or_default();
    let first = match config.model_type.as_str() {
        "mbart" => last,
        _ => config
            .fields
            .token_or("decoder_start_token_id", last)
            .map_err(|source| runtime_models::Error::Config { path: "config.json".into(), source })?,
    };
    Ok(std::iter::once(first).chain(labels.iter().copied()).take(labels.len()).collect())
}

/// `[tokens, vocabulary]`
fn scores(plan: &dyn Plan, source: &[u32], target: &[u32]) -> Result<Matrix, ScheduleError> {
    let failed = |error| ScheduleError::Plan(std::sync::Arc::new(error));
    let blocks = source.len().div_ceil(BLOCK) + target.len().div_ceil(BLOCK);
    let mut cache = plan.cache(blocks).map_err(failed)?;
    let reserved = |cache: &mut Cache, tokens: &[u32]| {
        let mut cached = Cached::new();
        cache.reserve(&mut cached, tokens.len()).map(|()| cached)
    };
    let mut read = reserved(&mut cache, source)?;
    let mut batch = Batch::new();
    batch.push_after(&read, source);
    plan.read_sources(&batch, &mut cache).map_err(failed)?;
    read.advance(source.len());

    let past = reserved(&mut cache, target)?;
    let mut batch = Batch::new();
    batch.push_after_source(&past, &read, target);
    (0..batch.tokens()).for_each(|row| batch.ask_row(u32::try_from(row).unwrap_or(u32::MAX)));
    let outputs = plan.run_after(&batch, &mut cache).map_err(failed)?;
    let logits = outputs.get("logits").ok_or(ScheduleError::NoOutput { output: "logits" })?.clone();
    Ok(logits)
}
