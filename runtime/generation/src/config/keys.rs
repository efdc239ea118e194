//! The names that a call or a file may give, and those that this program passes over or refuses.

use runtime_diagnostics::nearest;
use serde_json::{Map, Value};

use super::reader::wrong;
use crate::Error;

/// What changes how transformers computes, or what it returns beside the tokens, but not the tokens.
const WITHOUT_EFFECT: &[&str] = &[
    "use_cache",
    "cache_implementation",
    "cache_config",
    "max_cache_len",
    "return_dict_in_generate",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "output_logits",
    "disable_compile",
    "compile_config",
    "prefill_chunk_size",
    "low_memory",
    "transformers_version",
    "_from_model_config",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "target_lookbehind",
    "is_assistant",
];

/// What transformers does not have.
pub(super) const OURS: &[&str] = &["seed", "logit_bias", "presence_penalty", "frequency_penalty", "logprobs"];

/// What would change the tokens and is not done here, with the values at which it is off besides `null`.
const UNSUPPORTED: &[(&str, &[f64])] = &[
    ("guidance_scale", &[1.0]),
    ("penalty_alpha", &[0.0]),
    ("dola_layers", &[]),
    ("diversity_penalty", &[0.0]),
    ("num_beam_groups", &[1.0]),
    ("constraints", &[]),
    ("force_words_ids", &[]),
    ("watermarking_config", &[]),
    ("token_healing", &[]),
    ("assistant_early_exit", &[]),
    ("assistant_ensemble_weight", &[]),
    ("use_mtp", &[]),
];

/// Keys that are being read: what has not been asked for at the end is unknown.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    given: &'a Map<String, Value>,
    asked: Vec<&'static str>,
    /// Whether `null` says that nothing is given (a file) or turns something off (a call).
    of_file: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn of_file(given: &'a Map<String, Value>) -> Self {
        Self { given, asked: Vec::new(), of_file: true }
    }

    pub(super) fn of_call(given: &'a Map<String, Value>) -> Self {
        Self { given, asked: Vec::new(), of_file: false }
    }

    pub(super) fn is_of_file(&self) -> bool {
        self.of_file
    }

    /// Whether a value other than `null` is given.
    pub(super) fn gives(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|value| !value.is_null())
    }

    /// What is given, whatever it is.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.given.get(key)
    }

    pub(super) fn asked(&self) -> &[&'static str] {
        &self.asked
    }

    /// Reads a value into `place`, and `off` where a call gives `null`. `read` gives `None` for what is not `expected`.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        off: T,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<(), Error> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        match self.given.get(key) {
            None => {}
            Some(Value::Null) if self.of_file => {}
            Some(Value::Null) => *place = off,
            Some(value) => *place = read(value).ok_or_else(|| wrong(key, expected, value))?,
        }
        Ok(())
    }

    /// Refuses what is known to transformers and would change the result, but is not done here.
    pub(super) fn unsupported(&self) -> Result<(), Error> {
        let acts = |key: &str, off: &[f64]| match self.given.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(value) => value.as_f64().is_none_or(|number| !off.contains(&number)),
        };
        let found = UNSUPPORTED.iter().find(|(key, off)| acts(key, off));
        found.map_or(Ok(()), |(key, _)| {
            let message = format!("`{key}` is not supported");
            Err(Error::hinted(key, message, "leave it out"))
        })
    }

    /// Refuses what no one has asked for.
    pub(super) fn unknown(&self) -> Result<(), Error> {
        let known = |key: &str| {
            self.asked.contains(&key)
                || WITHOUT_EFFECT.contains(&key)
                || UNSUPPORTED.iter().any(|(name, _)| *name == key)
        };
        let unknown = self.given.keys().find(|key| !known(key));
        unknown.map_or(Ok(()), |key| {
            let hint = match nearest(key, self.asked.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are {}", self.asked.join(", ")),
            };
            Err(Error::hinted(key, format!("generation has no parameter `{key}`"), hint))
        })
    }
}
