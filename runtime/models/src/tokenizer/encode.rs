//! Texts to encodings: truncated to windows, special tokens put around each.

use tokenizers::{
    Encoding as LibraryEncoding, PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy,
    truncate_encodings,
};

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
        if let Some(params) = self.truncation(pair.is_some(), options)? {
            (text, pair) = truncate_encodings(text, pair, &params)?;
            if !overflow {
                text.take_overflowing();
                pair.as_mut().map(LibraryEncoding::take_overflowing);
            }
        }
        self.processor.process(text, pair, options.special_tokens)
    }

    fn tokenize(&self, text: Text<'_>) -> tokenizers::Result<LibraryEncoding> {
        match text {
            Text::Whole(text) => self.inner.encode_char_offsets(text, false),
            Text::Words(words) => self.inner.encode_char_offsets(words, false),
        }
    }

    /// What the texts are cut to, without special tokens.
    fn truncation(&self, pair: bool, options: &EncodeOptions) -> tokenizers::Result<Option<TruncationParams>> {
        let strategy = match options.truncation {
            Truncation::None => return Ok(None),
            Truncation::LongestFirst => TruncationStrategy::LongestFirst,
            Truncation::OnlyFirst => TruncationStrategy::OnlyFirst,
            Truncation::OnlySecond => TruncationStrategy::OnlySecond,
        };
        let Some(limit) = options.max_length.or(self.settings.max_length) else { return Ok(None) };
        let stride = options.stride;
        // The library checks this before it knows whether there is a pair, and whatever it adds in the end.
        let special = self.num_special(false);
        if let Some(left) = limit.checked_sub(special).filter(|left| *left < stride) {
            return Err(format!("a stride of {stride} is more than the {left} tokens that fit in {limit}").into());
        }
        let added = if options.special_tokens { self.num_special(pair) } else { 0 };
        let direction = options.truncation_side.unwrap_or(self.settings.truncation_side).into();
        // The library's own difference wraps around to a limit that nothing reaches.
        Ok(limit.checked_sub(added).map(|max_length| TruncationParams { direction, max_length, strategy, stride }))
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
