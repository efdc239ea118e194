//! Texts to sequences that the model takes.

use runtime_models::{EncodeOptions, Encoding, Model, Pieces, Sequence, Text, Tokenizer, Truncation};

use crate::Error;

/// How texts become sequences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Tokens of the longest sequence, special ones included.
    pub(crate) tokens: usize,
    /// Whether a longer text is cut off, instead of being an error.
    pub(crate) truncate: bool,
}

/// A sequence, and whether some of its text is missing.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) sequence: Sequence,
    pub(crate) truncated: bool,
}

/// What the model is given of an encoding: types of tokens only where transformers passes them on.
pub(crate) fn sequence(tokenizer: &Tokenizer, encoding: &Encoding) -> Sequence {
    let token_types = match tokenizer.takes_token_types() {
        true => encoding.token_types.clone(),
        false => vec![0; encoding.len()],
    };
    Sequence { token_ids: encoding.token_ids.clone(), token_types, rows: Vec::new() }
}

impl Limit {
    pub(crate) fn of(model: &Model, truncate: bool) -> Self {
        Self { tokens: model.max_tokens, truncate }
    }

    /// The limit that sentence-transformers sets, in place of the tokenizer's.
    pub(crate) fn with(model: &Model, asked: Option<usize>, truncate: bool) -> Self {
        let tokens = asked.map_or(model.max_tokens, |asked| asked.min(model.max_positions.unwrap_or(usize::MAX)));
        Self { tokens, truncate }
    }

    /// The sequence of a text, or of a text and its pair, of which the longer is cut off first.
    ///
    /// # Errors
    /// Where it cannot be tokenized, or is too long and may not be cut off.
    pub(crate) fn encode(self, model: &Model, text: &str, pair: Option<&str>) -> Result<Encoded, Error> {
        let first = model.tokenizer.pieces(text, usize::MAX)?;
        match pair {
            Some(pair) => self.encode_pair(model, text, &first, pair),
            None => {
                let (tokens, special) = (first.len(), model.tokenizer.num_special(false));
                let truncated = self.exceeded(tokens + special, special)?;
                let sequence = model.tokenizer.single(&first, self.tokens)?;
                Ok(Encoded { sequence, truncated })
            }
        }
    }

    /// The sequence of a text whose tokens are known and its pair.
    ///
    /// # Errors
    /// As [`Limit::encode`].
    pub(crate) fn encode_pair(self, model: &Model, text: &str, first: &Pieces, pair: &str) -> Result<Encoded, Error> {
        let second = model.tokenizer.pieces(pair, usize::MAX)?;
        let special = model.tokenizer.num_special(true);
        let truncated = self.exceeded(first.len() + second.len() + special, special)?;
        if let Some(sequence) = model.tokenizer.pair(first, &second, usize::MAX)?.filter(|_| !truncated) {
            return Ok(Encoded { sequence, truncated });
        }
        let max_length = Some(self.tokens);
        let options = EncodeOptions { truncation: Truncation::LongestFirst, max_length, ..EncodeOptions::default() };
        let cut = model.tokenizer.encode_first(Text::Whole(text), Some(Text::Whole(pair)), &options)?;
        Ok(Encoded { sequence: sequence(&model.tokenizer, &cut), truncated })
    }

    /// Whether so many tokens, of which `special` cannot be cut off, are too many.
    ///
    /// # Errors
    /// Where they are, and cannot or may not be cut off.
    fn exceeded(self, tokens: usize, special: usize) -> Result<bool, Error> {
        let exceeded = tokens > self.tokens;
        if exceeded && (!self.truncate || special > self.tokens) {
            return Err(Error::TooLong { tokens, limit: self.tokens });
        }
        Ok(exceeded)
    }
}
