//! Which tokens would complete a word, behind a text.
//!
//! A word may be written by any split into tokens, so that sequences of tokens are not enough: `b` `ad` is `bad` as well.
//! The texts of tokens decide. A token completes a word that it has within itself, or that the text before has begun and
//! the token goes on with; the second kind is looked up by the rest of the word that is missing.

use crate::fold::{fold_into, folded, is_inner};
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
    /// What may be missing of words, in the order of its bytes.
    rests: Vec<Rest>,
    /// The text of the token that is taken up, kept for its memory.
    folded: String,
    /// Those that begin with bytes which are not a character without what was before.
    unfinished: Vec<u32>,
}

/// What may be missing of a word.
#[derive(Debug, Default)]
struct Rest {
    text: String,
    /// Whether it is a whole word.
    is_word: bool,
    /// The tokens that begin with it, or are it.
    tokens: Vec<u32>,
}

impl Filter {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut filter = Self { words: settings.words, whole: settings.whole, ..Self::default() };
        let rest = |word: &str, at: usize| Rest { text: word[at..].to_owned(), is_word: at == 0, tokens: Vec::new() };
        let rests = filter.words.iter().flat_map(|word| word.char_indices().map(|(at, _)| rest(word, at)));
        filter.rests = rests.collect();
        // Of equal ones the word comes first, and stays.
        filter.rests.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(b.is_word.cmp(&a.is_word)));
        filter.rests.dedup_by(|later, first| later.text == first.text);
        filter
    }

    /// Takes up a token of the vocabulary.
    pub(crate) fn add(&mut self, token: u32, unfolded: &str) {
        let mut text = std::mem::take(&mut self.folded);
        fold_into(&mut text, unfolded);
        if text.starts_with(UNFINISHED) {
            self.unfinished.push(token);
        }
        let mut has_word = false;
        for (at, _) in text.char_indices() {
            // At the start of the text, what was before decides whether a whole word begins.
            let begins = !self.whole || at > 0 && !text[..at].ends_with(|c| is_inner(c) || c == UNFINISHED);
            if at > 0 && !begins {
                continue;
            }
            for rest in self.prefixes(&text[at..]) {
                let Rest { text: missing, is_word, tokens } = &mut self.rests[rest];
                // A whole word that goes on within the token is another word.
                if self.whole && text[at + missing.len()..].starts_with(is_inner) {
                    continue;
                }
                has_word |= begins && *is_word;
                if at == 0 {
                    tokens.push(token);
                }
            }
        }
        if has_word {
            self.always.push(token);
        }
        self.folded = text;
    }

    /// The rests that a text begins with.
    fn prefixes(&self, text: &str) -> Vec<usize> {
        let (mut among, mut found) = (0..self.rests.len(), Vec::new());
        for (depth, byte) in text.bytes().enumerate() {
            // All that are left begin with the bytes before this one.
            let is_before = |rest: &Rest| rest.text.as_bytes().get(depth) < Some(&byte);
            let is_within = |rest: &Rest| rest.text.as_bytes().get(depth) <= Some(&byte);
            let left = &self.rests[among.clone()];
            let (skipped, kept) = (left.partition_point(is_before), left.partition_point(is_within));
            among = among.start + skipped..among.start + kept;
            match self.rests.get(among.start).filter(|_| !among.is_empty()) {
                None => break,
                Some(rest) if rest.text.len() == depth + 1 => found.push(among.start),
                Some(_) => {}
            }
        }
        found
    }

    /// The tokens that are ruled out behind a text, of those whose texts are whole.
    pub(crate) fn ruled_out(&self, before: &str) -> Vec<u32> {
        // Behind bytes that are no character yet, such a token leaves them that: no word goes on over them.
        let before = Before { text: folded(before), unfinished: false };
        let mut tokens = self.always.clone();
        for (_, rest) in self.begun(&before) {
            let found = self.rests.binary_search_by(|known| known.text.as_str().cmp(rest));
            tokens.extend(found.iter().flat_map(|at| &self.rests[*at].tokens));
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// The tokens of which it depends on bytes at the end of a text whether they complete a word.
    pub(crate) fn doubtful(&self, before: &str) -> &[u32] {
        let before = Before::of(before);
        let is_bytes = |rest: &str| !rest.starts_with(|c: char| c.is_ascii());
        // Bytes that come to nothing end a word, so that each word may begin behind them.
        let doubt = before.unfinished
            && (self.words.iter().any(|word| is_bytes(word)) || self.begun(&before).any(|(_, rest)| is_bytes(rest)));
        if doubt { &self.unfinished } else { &[] }
    }

    /// Whether `after`, which is `before` and a token, has a word that was not complete before.
    pub(crate) fn completes(&self, before: &str, after: &str) -> bool {
        let (mut before, after) = (Before::of(before), folded(after));
        let added = after.get(before.text.len()..).unwrap_or_default();
        let whole = added.trim_start_matches(UNFINISHED);
        before.text.push_str(&added[..added.len() - whole.len()]);
        let complete = |(_, rest): (&str, &str)| {
            whole.strip_prefix(rest).is_some_and(|behind| !self.whole || !behind.starts_with(is_inner))
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
