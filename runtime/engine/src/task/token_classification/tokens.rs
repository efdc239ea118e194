//! From a window of tokens and their logits to tokens with scores, places in the text and word limits.

use runtime_models::{Encoding, Special, Tokenizer};
use runtime_tensor::Matrix;

use super::super::points::CodePoints;
use super::super::scores::softmax;
use crate::Error;

/// What the decoding asks of a tokenizer.
pub(super) trait Vocabulary {
    /// The token of an id.
    fn token(&self, id: u32) -> String;
    /// The id of the unknown token.
    fn unknown(&self) -> Option<u32>;
    /// Whether a token that continues a word is marked by a prefix.
    fn marks_continuations(&self) -> bool;
    /// Tokens as text.
    fn join(&self, tokens: Vec<String>) -> Result<String, Error>;
}

impl Vocabulary for Tokenizer {
    fn token(&self, id: u32) -> String {
        self.token(id).unwrap_or_default()
    }

    fn unknown(&self) -> Option<u32> {
        self.special(Special::Unknown)
    }

    fn marks_continuations(&self) -> bool {
        self.continuing_subword_prefix().is_some_and(|prefix| !prefix.is_empty())
    }

    fn join(&self, tokens: Vec<String>) -> Result<String, Error> {
        Ok(self.join(tokens)?)
    }
}

/// A token that is not special.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// As the vocabulary writes it; an unknown one as the text does.
    pub(super) word: String,
    /// Probabilities of the labels.
    pub(super) scores: Vec<f32>,
    /// Its place among the tokens of the window, special ones included.
    pub(super) index: usize,
    /// The code points of the text that it covers.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it continues the word of the token before.
    pub(super) continues: bool,
}

/// The text that tokens cover: where an input came in words, these joined.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: CodePoints<'a>,
    /// Where each word starts, in code points, if offsets count from there.
    words: Option<Vec<usize>>,
}

impl<'a> Source<'a> {
    /// A text.
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text: CodePoints::new(text), words: None }
    }

    /// Words, joined to `text` with `delimiter`.
    pub(super) fn words(text: &'a str, words: &[String], delimiter: &str) -> Self {
        let gap = delimiter.chars().count();
        let starts = words.iter().scan(0, |next, word| {
            let start = *next;
            *next += word.chars().count() + gap;
            Some(start)
        });
        Self { text: CodePoints::new(text), words: Some(starts.collect()) }
    }

    fn start_of(&self, word: Option<u32>) -> usize {
        let index = word.and_then(|word| usize::try_from(word).ok());
        self.words.as_ref().zip(index).and_then(|(starts, index)| starts.get(index).copied()).unwrap_or(0)
    }
}

/// The tokens of a window that are not special. `logits`: `[tokens, labels]`.
pub(super) fn tokens(
    window: &Encoding,
    logits: &Matrix,
    source: &Source<'_>,
    vocabulary: &impl Vocabulary,
) -> Vec<Token> {
    let marks = vocabulary.marks_continuations();
    let plain = (0..window.len().min(logits.rows)).filter(|index| !window.special[*index]);
    let token = plain.map(|index| {
        let id = window.token_ids[index];
        let from = source.start_of(window.words[index]);
        let (start, end) = (window.offsets[index].0 + from, window.offsets[index].1 + from);
        let covered = source.text.slice(start, end);
        let mut word = vocabulary.token(id);
        let mut continues = if marks {
            word.chars().count() != covered.chars().count()
        } else {
            start > 0 && !source.text.slice(start - 1, start + 1).contains(' ')
        };
        if vocabulary.unknown() == Some(id) {
            covered.clone_into(&mut word);
            continues = false;
        }
        Token { word, scores: softmax(logits.row(index)), index, start, end, continues }
    });
    token.collect()
}
