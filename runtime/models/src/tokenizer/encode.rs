//! Texts to encodings: truncated to windows, special tokens put around each.

use tokenizers::{Encoding as LibraryEncoding, PostProcessor, TruncationDirection};

use super::truncate::{CannotCut, kept};
use super::{Encoding, Tokenizer, guarded};
use crate::Error;

/// A text, or one that is split in words already (`is_split_into_words`).
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// As it is written.
    Whole(&'a str),
    /// In words; each is tokenized for itself, and offsets count from its start.
    Words(&'a [String]),
}

/// Which text of a pair is cut to fit `max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// Neither.
    #[default]
    None,
    /// The longer one, then both.
    LongestFirst,
    /// The text; where that does not suffice, it is an error.
    OnlyFirst,
    /// Its pair; where that does not suffice, or there is none, it is an error.
    OnlySecond,
}

/// An end of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The start of the text.
    Left,
    /// Its end.
    Right,
}

/// How a text becomes encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Whether special tokens are added.
    pub special_tokens: bool,
    /// Which text is cut.
    pub truncation: Truncation,
    /// Tokens of a window, at most, special ones included; `model_max_length` where it is `None`. With neither, or
    /// where the special tokens alone are more, nothing is cut.
    pub max_length: Option<usize>,
    /// Tokens that a window shares with the one before.
    pub stride: usize,
    /// Where the text is cut; `None`: as `tokenizer_config.json` says.
    pub truncation_side: Option<Side>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { special_tokens: true, truncation: Truncation::None, max_length: None, stride: 0, truncation_side: None }
    }
}

impl Tokenizer {
    /// The first window of a text and its pair; with truncation, the overflowing ones behind it
    /// (`return_overflowing_tokens`), in the order of transformers. Where both texts are cut, there is a window for each
    /// combination of their parts.
    ///
    /// # Errors
    /// Where the text does not fit as the options ask, or the library fails.
    pub fn encode(
        &self,
        text: Text<'_>,
        pair: Option<Text<'_>>,
        options: &EncodeOptions,
    ) -> Result<Vec<Encoding>, Error> {
        let windows = guarded(|| self.windows(text, pair, options, true));
        let windows = windows.map_err(|source| Error::Tokenize { source })?;
        Ok(windows.get_overflowing().iter().fold(vec![Encoding::from(&windows)], |mut all, window| {
            all.push(Encoding::from(window));
            all
        }))
    }

    /// The first window alone, which [`Tokenizer::encode`] has as its first.
    ///
    /// # Errors
    /// As there.
    pub fn encode_first(
        &self,
        text: Text<'_>,
        pair: Option<Text<'_>>,
        options: &EncodeOptions,
    ) -> Result<Encoding, Error> {
        let window = guarded(|| self.windows(text, pair, options, false));
        window.map(|window| Encoding::from(&window)).map_err(|source| Error::Tokenize { source })
    }

    fn windows(
        &self,
        text: Text<'_>,
        pair: Option<Text<'_>>,
        options: &EncodeOptions,
        overflow: bool,
    ) -> tokenizers::Result<LibraryEncoding> {
        let mut text = self.tokenize(text)?;
        let mut pair = pair.map(|pair| self.tokenize(pair)).transpose()?;
        if let Some(pair) = &mut pair {
            // The library marks it so from the start, and does not look at overflowing windows again.
            pair.set_type_ids(vec![1; pair.len()]);
        }
        if let Some(limit) = self.limit(pair.is_some(), options)? {
            let (first, second) = kept(text.len(), pair.as_ref().map(LibraryEncoding::len), limit, options.truncation)?;
            self.cut(&mut text, first, options, overflow)?;
            pair.as_mut().map_or(Ok(()), |pair| self.cut(pair, second, options, overflow))?;
        }
        self.processor.process(text, pair, options.special_tokens)
    }

    fn tokenize(&self, text: Text<'_>) -> tokenizers::Result<LibraryEncoding> {
        match text {
            Text::Whole(text) => self.inner.encode_char_offsets(text, false),
            Text::Words(words) => self.inner.encode_char_offsets(words, false),
        }
    }

    /// What the texts are cut to together, without special tokens.
    fn limit(&self, pair: bool, options: &EncodeOptions) -> tokenizers::Result<Option<usize>> {
        let limit = options.max_length.or(self.settings.max_length);
        let Some(limit) = limit.filter(|_| options.truncation != Truncation::None) else { return Ok(None) };
        let stride = options.stride;
        // The library checks this before it knows whether there is a pair, and whatever it adds in the end.
        let window = limit.checked_sub(self.num_special(false));
        if let Some(window) = window.filter(|window| *window < stride) {
            return Err(CannotCut::Stride { window, stride }.into());
        }
        // Where the special tokens are more, the library's difference wraps around to a limit that nothing reaches.
        Ok(limit.checked_sub(if options.special_tokens { self.num_special(pair) } else { 0 }))
    }

    /// Cuts an encoding to windows, or to the first of them.
    fn cut(
        &self,
        encoding: &mut LibraryEncoding,
        window: usize,
        options: &EncodeOptions,
        overflow: bool,
    ) -> Result<(), CannotCut> {
        let stride = options.stride;
        if window < encoding.len() && window > 0 && stride >= window {
            return Err(CannotCut::Stride { window, stride });
        }
        let side = options.truncation_side.unwrap_or(self.settings.truncation_side);
        // The first window is the same with any stride; without one the others are the fewest.
        encoding.truncate(window, if overflow { stride } else { 0 }, side.into());
        if !overflow {
            encoding.take_overflowing();
        }
        Ok(())
    }
}

impl From<Side> for TruncationDirection {
    fn from(side: Side) -> Self {
        match side {
            Side::Left => Self::Left,
            Side::Right => Self::Right,
        }
    }
}
