//! The cases of `causal-lm-logits` and `perplexity`: the scores of a decoder behind each token of a text.

use runtime_models::Sequence;
use runtime_tensor::Matrix;
use serde_json::{Map, Value, json};

use super::hidden_states::result;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use crate::task::encode::Limit;
use crate::task::scores::{check_finite, number};
use crate::{Error, Fields};

/// Scores of the whole vocabulary behind each token of `text`.
pub(super) async fn causal_lm_logits(model: &LoadedModel, input: Fields<'_>) -> Result<Value, Error> {
    let ids = token_ids(model, input, "text")?;
    let logits = scores(model, &ids).await?;
    Ok(Value::Object(with_best(&ids, &logits)))
}

/// What is told of scores `[tokens, vocabulary]`.
pub(super) fn with_best(ids: &[u32], logits: &Matrix) -> Map<String, Value> {
    let mut fields = match result(ids, logits) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let best: Vec<usize> = (0..logits.rows).map(|row| arg_max(logits.row(row))).collect();
    let last: Vec<Value> = logits.row(logits.rows - 1).iter().copied().map(number).collect();
    fields.insert("argmax".to_owned(), json!(best));
    fields.insert("last".to_owned(), Value::Array(last));
    fields
}

/// The negative log-likelihood of each token but the first, in windows of `max_length` tokens every `stride` tokens.
pub(super) async fn perplexity(
    model: &LoadedModel,
    params: &Map<String, Value>,
    input: Fields<'_>,
) -> Result<Value, Error> {
    let ids = token_ids(model, input, "text")?;
    let size = |name: &str| match params.get(name) {
        None => Ok(ids.len()),
        Some(value) => {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
            size.ok_or_else(|| runtime_models::Error::Argument {
                name: if name == "stride" { "stride" } else { "max_length" },
                expected: "a positive whole number".to_owned(),
                found: value.to_string(),
            })
        }
    };
    let (length, stride) = (size("max_length")?, size("stride")?);
    let mut losses = Vec::new();
    let mut start = 0;
    loop {
        let window = start..ids.len().min(start + length);
        let logits = scores(model, &ids[window.clone()]).await?;
        // The first token of a text has none before it; later windows know their tokens but for those scored already.
        for (token, id) in (0..window.end).zip(&ids).skip(losses.len() + 1) {
            if token > window.start {
                losses.push(negative_log_likelihood(logits.row(token - window.start - 1), *id));
            }
        }
        if window.end == ids.len() {
            break;
        }
        start += stride;
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 tokens")]
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    Ok(json!({"input_ids": ids, "token_nll": losses, "nll": mean, "perplexity": mean.exp()}))
}

/// The tokens of a field, with special ones.
pub(super) fn token_ids(model: &LoadedModel, input: Fields<'_>, field: &'static str) -> Result<Vec<u32>, Error> {
    let text = input.text(field)?;
    Ok(Limit::of(&model.model, true).encode(&model.model, text, None)?.sequence.token_ids)
}

/// The model's output for each token, `[tokens, width]`.
pub(super) async fn scores(model: &LoadedModel, ids: &[u32]) -> Result<Matrix, Error> {
    let rows = (0..ids.len()).map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
    let sequence = Sequence { token_ids: ids.to_vec(), token_types: vec![0; ids.len()], rows };
    let Answers { rows, .. } = model.scheduler.run(vec![sequence]).await?;
    let logits = rows.into_iter().next().unwrap_or(Matrix { rows: 0, width: 0, data: Vec::new() });
    check_finite(&logits.data)?;
    Ok(logits)
}

/// The first of the greatest.
fn arg_max(scores: &[f32]) -> usize {
    let better = |best: usize, index: usize| if scores[index] > scores[best] { index } else { best };
    (0..scores.len()).reduce(better).unwrap_or(0)
}

pub(super) fn negative_log_likelihood(scores: &[f32], token: u32) -> f64 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - highest).exp()).sum();
    sum.ln() - f64::from(scores[token as usize] - highest)
}
