//! Which tokens would complete a word, behind a text.
//!
//! A word may be written by any split into tokens, so that sequences of tokens are not enough: `b` `ad` is `bad` as well.
//! The texts of tokens decide. A token completes a word that it has within itself, or that the text before has begun and
//! the token goes on with; the second kind is looked up by the rest of the word that is missing.

use std::collections::HashMap;

use crate::fold::{folded, is_inner};
use crate::settings::Settings;

/// Stands in decoded texts for bytes that are not yet a character.
const UNFINISHED: char = '\u{fffd}';

/// Tokens by what they complete.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    words: Vec<String>,
    whole: bool,
    /// Those that have a word within themselves, whatever was before.
    always: Vec<u32>,
    /// Those that begin with the rest of a word, or are that, by the rest.
    rests: HashMap<String, Vec<u32>>,
    /// Those that begin with bytes which are not a character without what was before.
    unfinished: Vec<u32>,
}

impl Filter {
    pub(crate) fn new(settings: &Settings) -> Self {
        let starts = settings.words.iter().flat_map(|word| word.char_indices().map(|(at, _)| word[at..].to_owned()));
        let rests = starts.map(|rest| (rest, Vec::new())).collect();
        Self { words: settings.words.clone(), whole: settings.whole, rests, ..Self::default() }
    }

    /// Takes up a token of the vocabulary.
    pub(crate) fn add(&mut self, token: u32, text: &str) {
        let text = folded(text);
        if text.starts_with(UNFINISHED) {
            self.unfinished.push(token);
        }
        if self.words.iter().any(|word| self.is_within(&text, word)) {
            self.always.push(token);
            return;
        }
        let ends = text.char_indices().map(|(at, _)| at).skip(1).chain([text.len()]);
        for end in ends {
            // A whole word that goes on within the token is another word.
            if self.whole && text[end..].starts_with(is_inner) {
                continue;
            }
            if let Some(tokens) = self.rests.get_mut(&text[..end]) {
                tokens.push(token);
            }
        }
    }

    /// Whether a word stands in a text, not at its start if it must be whole, for what was before decides that.
    fn is_within(&self, text: &str, word: &str) -> bool {
        text.match_indices(word).any(|(at, _)| {
            let begins = at > 0 && !text[..at].ends_with(|c| is_inner(c) || c == UNFINISHED);
            !self.whole || (begins && !text[at + word.len()..].starts_with(is_inner))
        })
    }

    /// The tokens that are ruled out behind a text, of those whose texts are whole.
    pub(crate) fn ruled_out(&self, before: &str) -> Vec<u32> {
        // Behind bytes that are no character yet, such a token leaves them that: no word goes on over them.
        let before = Before { text: folded(before), unfinished: false };
        let mut tokens = self.always.clone();
        for (_, rest) in self.begun(&before) {
            tokens.extend(self.rests.get(rest).into_iter().flatten());
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// The tokens of which it depends on bytes at the end of a text whether they complete a word.
    pub(crate) fn doubtful(&self, before: &str) -> &[u32] {
        let before = Before::of(before);
        let doubt = before.unfinished && self.begun(&before).any(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii()));
        if doubt { &self.unfinished } else { &[] }
    }

    /// Whether `after`, which is `before` and a token, has a word that was not complete before.
    pub(crate) fn completes(&self, before: &str, after: &str) -> bool {
        let (before, after) = (Before::of(before), folded(after));
        let complete = |(_, rest): (&str, &str)| {
            let behind = after.get(before.text.len()..).and_then(|added| added.strip_prefix(rest));
            behind.is_some_and(|behind| !self.whole || !behind.starts_with(is_inner))
        };
        self.begun(&before).any(complete)
    }

    /// The words that a text has begun, in what is there of each and the rest; a text that a word may follow has begun it.
    fn begun<'f>(&'f self, before: &'f Before) -> impl Iterator<Item = (&'f str, &'f str)> {
        let splits = |word: &'f String| word.char_indices().map(move |(at, _)| word.split_at(at));
        self.words.iter().flat_map(splits).filter(move |(begun, _)| {
            let outside = before.text.strip_suffix(begun);
            outside.is_some_and(|outside| !self.whole || !outside.ends_with(is_inner))
        })
    }
}

/// What was written before a token.
struct Before {
    text: String,
    /// Whether bytes follow that are not yet a character.
    unfinished: bool,
}

impl Before {
    fn of(text: &str) -> Self {
        let whole = text.trim_end_matches(UNFINISHED);
        Self { text: folded(whole), unfinished: whole.len() < text.len() }
    }
}
