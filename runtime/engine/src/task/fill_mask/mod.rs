//! `fill-mask`: the words that fit in the places of a text that the mask token holds.

mod best;

use std::sync::Arc;

use runtime_models::{EncodeOptions, Encoding, Special, Text, Tokenizer, Truncation};
use runtime_tasks::{FillMask as Options, ParamError};
use serde_json::{Value, json};

use super::encode::sequence;
use super::scores::{check_finite, number};
use super::{Fields, TaskAnswer};
use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use best::best;

/// A model that fills in masks.
pub struct FillMask {
    model: Arc<LoadedModel>,
    top_k: usize,
    targets: Option<Vec<u32>>,
    /// The id of the mask token.
    mask: u32,
    truncate: bool,
}

impl FillMask {
    /// What `model` fills in.
    ///
    /// # Errors
    /// Where its tokenizer has no mask token, no target is left, or more tokens are asked for than there are.
    pub fn new(model: Arc<LoadedModel>, options: &Options, truncate: bool) -> Result<Self, Error> {
        let loaded = &model.model;
        let mask = loaded.tokenizer.special(Special::Mask).ok_or(Error::NoMaskToken)?;
        let targets = options.targets.as_ref().map(|targets| ids(&loaded.tokenizer, targets)).transpose()?;
        if targets.is_none() && options.top_k > loaded.width {
            let message = format!("`top_k` is {}, and the model knows {} tokens", options.top_k, loaded.width);
            return Err(ParamError { key: "top_k".to_owned(), message, hint: None }.into());
        }
        Ok(Self { top_k: options.top_k, targets, mask, truncate, model })
    }

    /// What fits in the mask of `text`: a list of `{score, token, token_str, sequence}`, the best first; with several
    /// masks, a list of such lists.
    ///
    /// # Errors
    /// Where the field is missing or wrong, holds no mask or is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let tokenizer = &self.model.model.tokenizer;
        let (window, truncated) = self.window(input.text("text")?)?;
        let masked = |(_, id): &(usize, &u32)| **id == self.mask;
        let masks: Vec<usize> = window.token_ids.iter().enumerate().filter(masked).map(|(place, _)| place).collect();
        if masks.is_empty() {
            return Err(Error::NoMask { mask: tokenizer.token(self.mask).unwrap_or_default(), truncated });
        }
        let mut sequence = sequence(tokenizer, &window);
        sequence.rows = masks.iter().filter_map(|place| u32::try_from(*place).ok()).collect();
        let Answers { rows, time } = self.model.scheduler.run(vec![sequence]).await?;
        let mut filled = Vec::with_capacity(masks.len());
        for (logits, place) in rows.iter().flat_map(|logits| (0..logits.rows).map(|row| logits.row(row))).zip(&masks) {
            check_finite(logits)?;
            let words = best(logits, self.targets.as_deref(), self.top_k).into_iter();
            let words = words.map(|word| self.proposal(&window.token_ids, *place, word, masks.len() == 1));
            filled.push(Value::Array(words.collect::<Result<_, _>>()?));
        }
        let result = if filled.len() == 1 { filled.remove(0) } else { Value::Array(filled) };
        Ok(TaskAnswer { result, time, tokens: window.len(), truncated: usize::from(truncated) })
    }

    /// A text as the model takes it, and whether its end is missing.
    fn window(&self, text: &str) -> Result<(Encoding, bool), Error> {
        let tokenizer = &self.model.model.tokenizer;
        // The pipeline does not cut a text at the tokenizer's limit, only the model sets one.
        let limit = self.model.model.max_positions.unwrap_or(usize::MAX);
        let whole = tokenizer.encode_first(Text::Whole(text), None, &EncodeOptions::default())?;
        if whole.len() <= limit {
            return Ok((whole, false));
        }
        if !self.truncate {
            return Err(Error::TooLong { tokens: whole.len(), limit });
        }
        let cut =
            EncodeOptions { truncation: Truncation::LongestFirst, max_length: Some(limit), ..EncodeOptions::default() };
        Ok((tokenizer.encode_first(Text::Whole(text), None, &cut)?, true))
    }

    /// A token with the text that it makes. With several masks that shows the others, and so all special tokens.
    fn proposal(&self, ids: &[u32], place: usize, word: (u32, f32), single: bool) -> Result<Value, Error> {
        let tokenizer = &self.model.model.tokenizer;
        let (token, score) = word;
        let mut ids = ids.to_vec();
        ids[place] = token;
        let padding = tokenizer.special(Special::Padding);
        ids.retain(|id| Some(*id) != padding);
        let sequence = tokenizer.decode(&ids, single, None)?;
        let token_str = tokenizer.decode(&[token], false, None)?;
        Ok(json!({"score": number(score), "token": token, "token_str": token_str, "sequence": sequence}))
    }
}

/// The tokens of targets, each once: a target that is no token of the vocabulary stands for the first one it is split
/// into, or for none.
///
/// # Errors
/// Where none is left.
fn ids(tokenizer: &Tokenizer, targets: &[String]) -> Result<Vec<u32>, Error> {
    let first = EncodeOptions {
        special_tokens: false,
        truncation: Truncation::LongestFirst,
        max_length: Some(1),
        ..EncodeOptions::default()
    };
    let mut ids = Vec::new();
    for target in targets {
        let id = match tokenizer.id(target) {
            Some(id) => Some(id),
            None => tokenizer.encode_first(Text::Whole(target), None, &first)?.token_ids.first().copied(),
        };
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    if ids.is_empty() {
        let message = "`targets` holds no text that has a token".to_owned();
        return Err(ParamError { key: "targets".to_owned(), message, hint: None }.into());
    }
    Ok(ids)
}
