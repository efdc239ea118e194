//! `token-classification`: labels tokens, and groups them into entities.
//!
//! The text becomes windows (one, unless there is a stride), the model labels the tokens of each, and what follows is
//! computed from these alone: `tokens` puts scores and places together, `entities` groups them.

mod entities;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use runtime_models::{EncodeOptions, Encoding, Text, Tokenizer, Truncation};
use runtime_tasks::{ParamError, TokenClassification as Options};
use serde_json::Value;

use super::encode::sequence;
use super::scores::check_finite;
use super::{Fields, TaskAnswer};
use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use crate::{Error, type_name};
use entities::{Entity, entities, without_overlaps};
use tokens::{Source, tokens};

/// A classifier of tokens.
pub struct TokenClassification {
    model: Arc<LoadedModel>,
    options: Options,
    truncate: bool,
}

/// An input: a text, or words.
enum Input<'a> {
    Text(&'a str),
    Words { words: Vec<String>, joined: String },
}

impl TokenClassification {
    /// A classifier that asks `model`.
    ///
    /// # Errors
    /// Where a window has no place for more than the stride.
    pub fn new(model: Arc<LoadedModel>, options: &Options, truncate: bool) -> Result<Self, Error> {
        let limit = model.model.max_tokens;
        let room = limit.saturating_sub(model.model.tokenizer.num_special(false));
        if let Some(stride) = options.stride.filter(|stride| *stride >= room) {
            let message = format!("`stride` is {stride}, and a window of {limit} tokens has {room} for the text");
            let hint = Some(format!("it can be at most {}", room.saturating_sub(1)));
            return Err(ParamError { key: "stride".to_owned(), message, hint }.into());
        }
        Ok(Self { model, options: options.clone(), truncate })
    }

    /// The entities of `text`: a list, or with `is_split_into_words`, where `text` is a list of words, a list of such.
    ///
    /// # Errors
    /// Where the field is missing or wrong, the text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let input = self.read(input)?;
        let windows = self.windows(&input)?;
        // Without a stride there is one window, and what was cut off is not looked at.
        let truncated = usize::from(self.options.stride.is_none() && windows.len() > 1);
        let windows = if self.options.stride.is_some() { &windows[..] } else { &windows[..1] };
        let tokenizer = &self.model.model.tokenizer;
        let sequences = windows.iter().map(|window| sequence(tokenizer, window)).collect();
        let Answers { rows, time } = self.model.scheduler.run(sequences).await?;
        rows.iter().try_for_each(|logits| check_finite(&logits.data))?;
        let source = match &input {
            Input::Text(text) => Source::whole(text),
            Input::Words { words, joined } => Source::words(joined, words, &self.options.delimiter),
        };
        let labels = |class| self.model.model.labels.name(class);
        let mut found = Vec::new();
        for (window, logits) in windows.iter().zip(&rows) {
            let tokens = tokens(window, logits, &source, tokenizer);
            let entities = entities(&tokens, self.options.aggregation_strategy, &labels, tokenizer)?;
            found.extend(entities.into_iter().filter(|entity| !self.options.ignore_labels.contains(&entity.label)));
        }
        if windows.len() > 1 {
            found = without_overlaps(found);
        }
        let found: Value = found.iter().map(Entity::json).collect();
        let result = if matches!(input, Input::Words { .. }) { Value::Array(vec![found]) } else { found };
        let tokens = windows.iter().map(Encoding::len).sum();
        Ok(TaskAnswer { result, time, tokens, truncated })
    }

    fn read<'a>(&self, input: Fields<'a>) -> Result<Input<'a>, Error> {
        if !self.options.is_split_into_words {
            return input.text("text").map(Input::Text);
        }
        let field = "text";
        let words = match input.get(field) {
            Some(Value::Array(words)) => words.iter().map(|word| match word {
                Value::String(word) => Ok(word.clone()),
                other => Err(Error::NoText { field, found: type_name(other) }),
            }),
            Some(other) => return Err(Error::NoWords { field, found: type_name(other) }),
            None => return input.text(field).map(Input::Text),
        };
        let words: Vec<String> = words.collect::<Result<_, _>>()?;
        if words.iter().all(|word| word.trim().is_empty()) {
            return Err(Error::EmptyField { field });
        }
        let joined = words.join(&self.options.delimiter);
        Ok(Input::Words { words, joined })
    }

    /// The windows of a text; without a stride, the second starts with what would be cut off.
    fn windows(&self, input: &Input<'_>) -> Result<Vec<Encoding>, Error> {
        let text = match input {
            Input::Text(text) => Text::Whole(text),
            Input::Words { words, .. } => Text::Words(words),
        };
        let tokenizer: &Tokenizer = &self.model.model.tokenizer;
        let limit = self.model.model.max_tokens;
        let options = EncodeOptions {
            truncation: Truncation::LongestFirst,
            max_length: Some(limit),
            stride: self.options.stride.unwrap_or(0),
            ..EncodeOptions::default()
        };
        let windows = tokenizer.encode(text, None, &options)?;
        if windows.len() > 1 && self.options.stride.is_none() && !self.truncate {
            let whole = tokenizer.encode_first(text, None, &EncodeOptions::default())?;
            return Err(Error::TooLong { tokens: whole.len(), limit });
        }
        Ok(windows)
    }
}
