//! The type of each parameter.

use serde_json::Value;

use super::constraint;
use super::keys::Keys;
use super::{EarlyStopping, GenerationConfig, SequenceBias};
use crate::Error;

/// Says that a value is not what it must be.
pub(super) fn wrong(key: &str, expected: &str, value: &Value) -> Error {
    let mut shown = value.to_string();
    if shown.chars().count() > 60 {
        shown = shown.chars().take(60).chain(['…']).collect();
    }
    Error::param(key, format!("`{key}` must be {expected}, not `{shown}`"))
}

const COUNT: &str = "a whole number of at least 0";
const NUMBER: &str = "a number";
const TOKEN: &str = "a token id";
const TOKENS: &str = "a token id or a list of them";
const YES_NO: &str = "`true` or `false`";

impl GenerationConfig {
    /// Reads every parameter over those that there are.
    pub(super) fn read(&mut self, keys: &mut Keys<'_>) -> Result<(), Error> {
        let off = Self::default();
        keys.set("max_new_tokens", &mut self.max_new_tokens, None, COUNT, some(count))?;
        keys.set("min_new_tokens", &mut self.min_new_tokens, None, COUNT, some(count))?;
        keys.set("max_length", &mut self.max_length, None, COUNT, some(count))?;
        keys.set("min_length", &mut self.min_length, 0, COUNT, count)?;
        keys.set("max_time", &mut self.max_time, None, NUMBER, some(number))?;
        let texts_expected = "a text or a list of texts";
        keys.set("stop_strings", &mut self.stop_strings, off.stop_strings, texts_expected, texts)?;
        constraint::read(keys, &mut self.constraint)?;

        keys.set("do_sample", &mut self.do_sample, false, YES_NO, Value::as_bool)?;
        keys.set("seed", &mut self.seed, None, COUNT, some(Value::as_u64))?;
        keys.set("temperature", &mut self.temperature, 1.0, NUMBER, number)?;
        keys.set("top_h", &mut self.top_h, None, NUMBER, some(number))?;
        keys.set("top_k", &mut self.top_k, 0, "a whole number, of which 0 keeps all tokens", count)?;
        keys.set("top_p", &mut self.top_p, 1.0, NUMBER, number)?;
        keys.set("min_p", &mut self.min_p, None, NUMBER, some(number))?;
        keys.set("typical_p", &mut self.typical_p, 1.0, NUMBER, number)?;
        keys.set("epsilon_cutoff", &mut self.epsilon_cutoff, 0.0, NUMBER, number)?;
        keys.set("eta_cutoff", &mut self.eta_cutoff, 0.0, NUMBER, number)?;

        keys.set("repetition_penalty", &mut self.repetition_penalty, 1.0, NUMBER, number)?;
        keys.set("encoder_repetition_penalty", &mut self.encoder_repetition_penalty, 1.0, NUMBER, number)?;
        keys.set("presence_penalty", &mut self.presence_penalty, 0.0, NUMBER, number)?;
        keys.set("frequency_penalty", &mut self.frequency_penalty, 0.0, NUMBER, number)?;
        keys.set("no_repeat_ngram_size", &mut self.no_repeat_ngram_size, 0, COUNT, count)?;
        keys.set("encoder_no_repeat_ngram_size", &mut self.encoder_no_repeat_ngram_size, 0, COUNT, count)?;
        let sequences = "a list of lists of token ids";
        keys.set("bad_words_ids", &mut self.bad_words_ids, off.bad_words_ids, sequences, token_lists)?;
        let biases = "a list of pairs of a list of token ids and a number";
        keys.set("sequence_bias", &mut self.sequence_bias, off.sequence_bias, biases, sequence_biases)?;
        let bias = "an object with a number for each token id";
        keys.set("logit_bias", &mut self.logit_bias, off.logit_bias, bias, logit_biases)?;
        keys.set("suppress_tokens", &mut self.suppress_tokens, off.suppress_tokens, TOKENS, tokens)?;
        keys.set("begin_suppress_tokens", &mut self.begin_suppress_tokens, off.begin_suppress_tokens, TOKENS, tokens)?;
        keys.set("forced_bos_token_id", &mut self.forced_bos_token_id, None, TOKEN, some(token))?;
        keys.set("forced_eos_token_id", &mut self.forced_eos_token_id, off.forced_eos_token_id, TOKENS, tokens)?;
        let decay = &mut self.exponential_decay_length_penalty;
        let pair = "a list of a number of tokens and a factor";
        keys.set("exponential_decay_length_penalty", decay, None, pair, some(decay_pair))?;
        keys.set("remove_invalid_values", &mut self.remove_invalid_values, false, YES_NO, Value::as_bool)?;
        keys.set("renormalize_logits", &mut self.renormalize_logits, false, YES_NO, Value::as_bool)?;

        keys.set("num_beams", &mut self.num_beams, 1, COUNT, count)?;
        keys.set("num_return_sequences", &mut self.num_return_sequences, 1, COUNT, count)?;
        keys.set("length_penalty", &mut self.length_penalty, 1.0, NUMBER, number)?;
        let stopping = &mut self.early_stopping;
        keys.set("early_stopping", stopping, EarlyStopping::False, "`true`, `false` or \"never\"", early_stopping)?;

        let lookup = &mut self.prompt_lookup_num_tokens;
        keys.set("prompt_lookup_num_tokens", lookup, None, COUNT, some(count))?;
        keys.set("max_matching_ngram_size", &mut self.max_matching_ngram_size, None, COUNT, some(count))?;
        keys.set("logprobs", &mut self.logprobs, None, "`true`, `false` or a whole number", log_probs)?;

        // Some files have -1 where there is no such token.
        keys.set("bos_token_id", &mut self.bos_token_id, None, TOKEN, maybe_token)?;
        keys.set("eos_token_id", &mut self.eos_token_id, off.eos_token_id, TOKENS, maybe_tokens)?;
        keys.set("pad_token_id", &mut self.pad_token_id, None, TOKEN, maybe_token)?;
        keys.set("decoder_start_token_id", &mut self.decoder_start_token_id, None, TOKEN, maybe_token)
    }
}

fn some<T>(read: impl FnOnce(&Value) -> Option<T>) -> impl FnOnce(&Value) -> Option<Option<T>> {
    |value| read(value).map(Some)
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn token(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|token| u32::try_from(token).ok())
}

fn maybe_token(value: &Value) -> Option<Option<u32>> {
    if value.as_i64().is_some_and(|token| token < 0) { Some(None) } else { token(value).map(Some) }
}

fn tokens(value: &Value) -> Option<Vec<u32>> {
    match value {
        Value::Array(items) => items.iter().map(token).collect(),
        _ => token(value).map(|token| vec![token]),
    }
}

fn maybe_tokens(value: &Value) -> Option<Vec<u32>> {
    let tokens: Option<Vec<Option<u32>>> = match value {
        Value::Array(items) => items.iter().map(maybe_token).collect(),
        _ => maybe_token(value).map(|token| vec![token]),
    };
    tokens.map(|tokens| tokens.into_iter().flatten().collect())
}

pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn token_list(value: &Value) -> Option<Vec<u32>> {
    value.as_array()?.iter().map(token).collect()
}

fn token_lists(value: &Value) -> Option<Vec<Vec<u32>>> {
    value.as_array()?.iter().map(token_list).collect()
}

/// Of the same sequence given twice the last counts, as in the dictionary that transformers makes of them.
fn sequence_biases(value: &Value) -> Option<Vec<SequenceBias>> {
    let mut biases: Vec<SequenceBias> = Vec::new();
    for item in value.as_array()? {
        let [sequence, bias] = item.as_array()?.as_slice() else { return None };
        let (tokens, bias) = (token_list(sequence).filter(|tokens| !tokens.is_empty())?, number(bias)?);
        match biases.iter_mut().find(|known| known.tokens == tokens) {
            Some(known) => known.bias = bias,
            None => biases.push(SequenceBias { tokens, bias }),
        }
    }
    Some(biases)
}

fn logit_biases(value: &Value) -> Option<Vec<(u32, f64)>> {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(token, bias)| Some((token.parse().ok()?, number(bias)?))).collect()
        }
        // As pairs, since the keys of an object cannot be numbers.
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array()?.as_slice() {
                [id, bias] => Some((token(id)?, number(bias)?)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn decay_pair(value: &Value) -> Option<(usize, f64)> {
    match value.as_array()?.as_slice() {
        [start, factor] => Some((count(start)?, number(factor)?)),
        _ => None,
    }
}

fn early_stopping(value: &Value) -> Option<EarlyStopping> {
    match value {
        Value::Bool(true) => Some(EarlyStopping::True),
        Value::Bool(false) => Some(EarlyStopping::False),
        Value::String(text) if text == "never" => Some(EarlyStopping::Never),
        _ => None,
    }
}

fn log_probs(value: &Value) -> Option<Option<usize>> {
    match value {
        Value::Bool(told) => Some(told.then_some(0)),
        _ => count(value).map(Some),
    }
}
