//! Texts to sequences that the model takes.

use runtime_models::{Encoding, Model, Sequence, Tokenizer};

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

    /// The sequence of a text, or of a text and its pair, of which the longer is cut off first.
    ///
    /// # Errors
    /// Where it cannot be tokenized, or is too long and may not be cut off.
    pub(crate) fn encode(self, model: &Model, text: &str, pair: Option<&str>) -> Result<Encoded, Error> {
        let pieces = |text| model.tokenizer.pieces(text, usize::MAX);
        let text = pieces(text)?;
        let (tokens, sequence) = match pair.map(pieces).transpose()? {
            None => (
                model.tokenizer.single(&text, usize::MAX)?.token_ids.len(),
                model.tokenizer.single(&text, self.tokens)?,
            ),
            Some(pair) => {
                let full = model.tokenizer.pair(&text, &pair, usize::MAX)?;
                let cut = model.tokenizer.pair(&text, &pair, self.tokens)?;
                let tokens = full.map_or(0, |full| full.token_ids.len());
                (tokens, cut.ok_or(Error::TooLong { tokens, limit: self.tokens })?)
            }
        };
        let truncated = tokens > self.tokens;
        if truncated && !self.truncate {
            return Err(Error::TooLong { tokens, limit: self.tokens });
        }
        Ok(Encoded { sequence, truncated })
    }
}
