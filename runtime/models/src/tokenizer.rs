//! Texts to token ids, by `tokenizer.json`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_diagnostics::panic_message;
use serde_json::Value;
use tokenizers::{Encoding, PostProcessor, TruncationDirection};

use crate::folder::read_bytes;
use crate::{Error, ModelFolder};

/// Bytes of a `tokenizer.json`, at most; the largest known one has 35 MB.
const LARGEST: u64 = 256 << 20;

/// A tokenizer, with the limits of its model. Truncation and padding that a `tokenizer.json` has baked in are left
/// out: how much is cut off is decided by the task, and nothing is ever padded.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: Option<usize>,
    side: TruncationDirection,
    highest_id: u32,
}

/// A text's tokens without the special ones, from which sequences are put together.
#[derive(Clone, Debug)]
pub struct Pieces(Encoding);

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
    pub(crate) fn open(folder: &ModelFolder) -> Result<Self, Error> {
        let path = folder.file("tokenizer.json");
        let bytes = read_bytes(&path, LARGEST)?;
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(bytes))
            .map_err(|source| Error::TokenizerFile { path, source })?;
        inner.with_padding(None);
        // Taking truncation away cannot fail; only parameters are checked.
        inner.with_truncation(None).map_err(|source| Error::Tokenize { source })?;
        let config = folder.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        // A tokenizer without a limit has 1e30 there.
        let max_length = config["model_max_length"].as_u64().and_then(|length| usize::try_from(length).ok());
        let left = config["truncation_side"].as_str() == Some("left");
        let side = if left { TruncationDirection::Left } else { TruncationDirection::Right };
        let highest_id = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Self { inner, max_length, side, highest_id })
    }

    /// `model_max_length`, in tokens.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// The highest id that it can give.
    pub fn highest_id(&self) -> u32 {
        self.highest_id
    }

    /// The tokens of a text, without special ones, of which at most `limit` are kept.
    ///
    /// # Errors
    /// Where the library fails, for example for a character that a vocabulary without unknown token does not have.
    pub fn pieces(&self, text: &str, limit: usize) -> Result<Pieces, Error> {
        let mut encoding =
            guarded(|| self.inner.encode_fast(text, false)).map_err(|source| Error::Tokenize { source })?;
        encoding.truncate(limit, 0, self.side);
        encoding.take_overflowing();
        Ok(Pieces(encoding))
    }

    /// One text as a sequence of at most `limit` tokens.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn single(&self, text: &Pieces, limit: usize) -> Result<Sequence, Error> {
        self.assemble(text, None, limit.saturating_sub(self.special_tokens(false)))
    }

    /// A text and its pair as a sequence of at most `limit` tokens, shortening the text only; `None` where the pair
    /// alone leaves no place for it (transformers calls this `only_first`).
    ///
    /// # Errors
    /// Where the library fails.
    pub fn pair(&self, text: &Pieces, pair: &Pieces, limit: usize) -> Result<Option<Sequence>, Error> {
        let taken = pair.len() + self.special_tokens(true);
        let fits = text.len() + taken <= limit;
        match limit.checked_sub(taken).filter(|left| fits || *left > 0) {
            Some(left) => self.assemble(text, Some(pair), left).map(Some),
            None => Ok(None),
        }
    }

    fn assemble(&self, text: &Pieces, pair: Option<&Pieces>, limit: usize) -> Result<Sequence, Error> {
        let mut text = text.0.clone();
        text.truncate(limit, 0, self.side);
        // What was cut off comes along as further encodings, which nobody reads.
        text.take_overflowing();
        let pair = pair.map(|pair| pair.0.clone());
        let encoding = guarded(|| self.inner.post_process(text, pair, true));
        let encoding = encoding.map_err(|source| Error::Tokenize { source })?;
        let (token_ids, token_types) = (encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec());
        Ok(Sequence { token_ids, token_types, rows: Vec::new() })
    }

    fn special_tokens(&self, pair: bool) -> usize {
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }
}

/// What the library returns; where it panics, as it does on some files and texts, that is an error like others.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panic_message(&*panic).into()))
}
