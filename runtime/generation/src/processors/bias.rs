//! Biases of tokens and of sequences, and sequences that may not come.
//!
//! The bias of a sequence goes to its last token where the others of it end the sequence so far; several that fit add
//! up. A bad word is a sequence whose bias is `-inf`. After `SequenceBiasLogitsProcessor`.

use crate::SequenceBias;
use crate::numbers::{index, narrow};

/// Sequences with what each does to the score of its last token.
#[derive(Clone, Debug)]
pub(super) struct Phrases(Vec<Phrase>);

#[derive(Clone, Debug)]
struct Phrase {
    before: Vec<u32>,
    last: usize,
    bias: f32,
}

impl Phrases {
    pub(super) fn biased(biases: &[SequenceBias]) -> Self {
        Self(biases.iter().filter_map(|SequenceBias { tokens, bias }| phrase(tokens, narrow(*bias))).collect())
    }

    /// Bad words; one that is just an end token is passed over.
    pub(super) fn banned(words: &[Vec<u32>], eos: &[u32]) -> Self {
        let is_end = |word: &[u32]| matches!(word, [token] if eos.contains(token));
        let words = words.iter().filter(|word| !is_end(word));
        Self(words.filter_map(|word| phrase(word, f32::NEG_INFINITY)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn apply(&self, sequence: &[u32], scores: &mut [f32]) {
        for phrase in &self.0 {
            if sequence.ends_with(&phrase.before) {
                scores[phrase.last] += phrase.bias;
            }
        }
    }
}

fn phrase(tokens: &[u32], bias: f32) -> Option<Phrase> {
    let (last, before) = tokens.split_last()?;
    Some(Phrase { before: before.to_vec(), last: index(*last), bias })
}
