//! The cases of `logits-process`: what processors and warpers leave of given scores, without a model.

use runtime_generation::{Error, GenerationConfig, Lengths, Processors, Prompt, Warpers};
use serde_json::{Map, Value, json};

use crate::task::scores::number;

/// The tokens that are left for each sequence of `input_ids`, with their scores and probabilities.
///
/// # Errors
/// Outside, where the input is no such input; inside, where the call fails, as it may be meant to.
pub(super) fn logits_process(
    params: &Map<String, Value>,
    input: &Map<String, Value>,
) -> Result<Result<Value, Error>, String> {
    let ids: Vec<Vec<u32>> = lists(input, "input_ids", |id| u32::try_from(id.as_u64()?).ok())?;
    let scores: Vec<Vec<f32>> = lists(input, "scores", score)?;
    let mask: Vec<Vec<u64>> = match input.get("attention_mask") {
        None => ids.iter().map(|ids| vec![1; ids.len()]).collect(),
        Some(_) => lists(input, "attention_mask", Value::as_u64)?,
    };
    if ids.len() != scores.len() || ids.len() != mask.len() {
        return Err("`input_ids`, `scores` and `attention_mask` differ in length".to_owned());
    }
    let rows = ids.iter().zip(mask).zip(scores).map(|((ids, mask), mut scores)| {
        let padding = mask.iter().take_while(|known| **known == 0).count().min(ids.len());
        row(params, ids, padding, &mut scores)
    });
    Ok(rows.collect::<Result<Vec<Value>, Error>>().map(|rows| json!({ "rows": rows })))
}

/// `padding` of the tokens in front stand for nothing.
fn row(params: &Map<String, Value>, ids: &[u32], padding: usize, scores: &mut [f32]) -> Result<Value, Error> {
    // No limit but those that are given, and one new token.
    let base = GenerationConfig { top_k: 0, max_new_tokens: Some(1), ..GenerationConfig::default() };
    let config = base.with_params(params)?;
    let lengths = Lengths::new(&config, ids.len(), None)?;
    let sequence = &ids[padding..];
    let prompt = Prompt { length: sequence.len(), padding, encoder_input: Some(sequence), lengths };
    Processors::new(&config, prompt, scores.len())?.apply(sequence, scores);
    let mut warpers = Warpers::new(&config);
    let left = warpers.distribution(scores)?;
    let kept: Vec<u32> = left.iter().map(|candidate| candidate.id).collect();
    let probs: Vec<Value> = left.iter().map(|candidate| number(candidate.prob)).collect();
    let scores: Vec<Value> = left.iter().map(|candidate| number(candidate.score)).collect();
    Ok(json!({"kept": kept, "probs": probs, "scores": scores}))
}

/// `null` is minus infinity.
fn score(value: &Value) -> Option<f32> {
    if value.is_null() {
        return Some(f32::NEG_INFINITY);
    }
    #[expect(clippy::cast_possible_truncation, reason = "scores are recorded from this type")]
    let score = value.as_f64()? as f32;
    Some(score)
}

fn lists<T>(input: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<Vec<T>>, String> {
    let list = |value: &Value| -> Option<Vec<T>> { value.as_array()?.iter().map(&read).collect() };
    let lists = input.get(name).and_then(Value::as_array).and_then(|lists| lists.iter().map(list).collect());
    lists.ok_or_else(|| format!("the case has no lists `{name}`"))
}
