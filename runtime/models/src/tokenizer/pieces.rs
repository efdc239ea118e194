//! Sequences put together from tokens of texts: ids alone, for models that are asked for nothing about the text.

use super::{Side, Tokenizer, guarded};
use crate::Error;

/// A text's tokens without the special ones, from which sequences are put together.
#[derive(Clone, Debug)]
pub struct Pieces(Vec<u32>);

impl Pieces {
    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a model is given: the ids of one sequence, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// `input_ids`.
    pub token_ids: Vec<u32>,
    /// `token_type_ids`, as many.
    pub token_types: Vec<u32>,
    /// The tokens, counted from 0 in this sequence, whose rows a head over `[r, ..]` is asked for.
    pub rows: Vec<u32>,
}

impl Tokenizer {
    /// The tokens of a text, without special ones, of which at most `limit` are kept.
    ///
    /// # Errors
    /// Where the library fails, for example for a character that a vocabulary without unknown token does not have.
    pub fn pieces(&self, text: &str, limit: usize) -> Result<Pieces, Error> {
        let encoding = guarded(|| self.inner.encode_fast(text, false)).map_err(|source| Error::Tokenize { source })?;
        Ok(Pieces(self.shortened(encoding.get_ids(), limit).to_vec()))
    }

    /// One text as a sequence of at most `limit` tokens.
    ///
    /// # Errors
    /// Never; it is as fallible as [`Tokenizer::pair`] for its callers.
    pub fn single(&self, text: &Pieces, limit: usize) -> Result<Sequence, Error> {
        let kept = self.shortened(&text.0, limit.saturating_sub(self.single.added()));
        Ok(self.typed(self.single.fill(kept, &[])))
    }

    /// A text and its pair as a sequence of at most `limit` tokens, shortening the text only; `None` where the pair
    /// alone leaves no place for it (transformers calls this `only_first`).
    ///
    /// # Errors
    /// Never; see [`Tokenizer::single`].
    pub fn pair(&self, text: &Pieces, pair: &Pieces, limit: usize) -> Result<Option<Sequence>, Error> {
        let taken = pair.len() + self.pair.added();
        let fits = text.len() + taken <= limit;
        let left = limit.checked_sub(taken).filter(|left| fits || *left > 0);
        Ok(left.map(|left| self.typed(self.pair.fill(self.shortened(&text.0, left), &pair.0))))
    }

    /// With the types of tokens only where transformers passes them on to the model.
    fn typed(&self, mut sequence: Sequence) -> Sequence {
        if !self.takes_token_types() {
            sequence.token_types.fill(0);
        }
        sequence
    }

    /// At most `limit` of the tokens, from the side that is kept.
    fn shortened<'a>(&self, ids: &'a [u32], limit: usize) -> &'a [u32] {
        let over = ids.len().saturating_sub(limit);
        match self.settings.truncation_side {
            Side::Left => &ids[over..],
            Side::Right => &ids[..ids.len() - over],
        }
    }
}
