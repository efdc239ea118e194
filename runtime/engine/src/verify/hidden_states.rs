//! The cases of `hidden-states`: the base model's output, in a short form.

use runtime_tensor::Matrix;
use serde_json::{Value, json};

use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use crate::task::encode::{Encoded, Limit};
use crate::task::scores::{check_finite, number};
use crate::{Error, Fields};

/// Numbers of each token that are told.
const TOLD: usize = 8;

/// The states of `texts`, each with its pair of `text_pairs` where there are such.
pub(super) async fn hidden_states(model: &LoadedModel, input: Fields<'_>) -> Result<Value, Error> {
    let texts = input.any_texts("texts")?;
    let pairs = match input.get("text_pairs") {
        None => vec![None; texts.len()],
        Some(_) => input.any_texts("text_pairs")?.into_iter().map(Some).collect(),
    };
    if pairs.len() != texts.len() {
        return Err(Error::NoText { field: "text_pairs", found: "a list of another length" });
    }
    let limit = Limit::of(&model.model, true);
    let encode = |(text, pair): (&&str, &Option<&str>)| limit.encode(&model.model, text, *pair);
    let encoded: Vec<Encoded> = texts.iter().zip(&pairs).map(encode).collect::<Result<_, _>>()?;
    let ids: Vec<Vec<u32>> = encoded.iter().map(|encoded| encoded.sequence.token_ids.clone()).collect();
    let sequences = encoded.into_iter().map(|encoded| encoded.sequence).collect();
    let Answers { rows, .. } = model.scheduler.run(sequences).await?;
    rows.iter().try_for_each(|states| check_finite(&states.data))?;
    let results: Vec<Value> = ids.iter().zip(&rows).map(|(ids, states)| result(ids, states)).collect();
    Ok(json!({ "results": results }))
}

/// What is told of a matrix of one row for each token.
pub(super) fn result(ids: &[u32], states: &Matrix) -> Value {
    let first = |token| -> Value { states.row(token).iter().take(TOLD).copied().map(number).collect() };
    let first: Vec<Value> = (0..states.rows).map(first).collect();
    json!({"input_ids": ids, "shape": [states.rows, states.width], "first8": first, "stats": stats(&states.data)})
}

fn stats(data: &[f32]) -> Value {
    let numbers = || data.iter().copied().map(f64::from);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 numbers")]
    let count = data.len() as f64;
    let mean = numbers().sum::<f64>() / count;
    let variance = numbers().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    json!({
        "mean": mean,
        "std": variance.sqrt(),
        "min": numbers().fold(f64::INFINITY, f64::min),
        "max": numbers().fold(f64::NEG_INFINITY, f64::max),
        "abs_sum": numbers().map(f64::abs).sum::<f64>(),
    })
}
