//! N-grams that may not come again.

use std::collections::HashMap;

use crate::numbers::index;

/// Bans every token that would complete an n-gram of the sequence once more.
pub(super) fn ban_repeated(size: usize, sequence: &[u32], scores: &mut [f32]) {
    if sequence.len() < size {
        return;
    }
    let before = &sequence[sequence.len() + 1 - size..];
    for ngram in sequence.windows(size) {
        if let Some((last, start)) = ngram.split_last()
            && start == before
        {
            ban(*last, scores);
        }
    }
}

fn ban(token: u32, scores: &mut [f32]) {
    // Some models have more embeddings than scores.
    if let Some(score) = scores.get_mut(index(token)) {
        *score = f32::NEG_INFINITY;
    }
}

/// The n-grams of an encoder's input: what follows each beginning.
#[derive(Clone, Debug)]
pub(super) struct EncoderNgrams {
    size: usize,
    next: HashMap<Vec<u32>, Vec<u32>>,
}

impl EncoderNgrams {
    pub(super) fn new(size: usize, input: &[u32]) -> Self {
        let mut next: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
        for ngram in input.windows(size.max(1)) {
            if let Some((last, start)) = ngram.split_last() {
                next.entry(start.to_vec()).or_default().push(*last);
            }
        }
        Self { size, next }
    }

    /// Bans what would complete one of them.
    pub(super) fn ban(&self, sequence: &[u32], scores: &mut [f32]) {
        let Some(start) = (sequence.len() + 1).checked_sub(self.size) else { return };
        for token in self.next.get(&sequence[start..]).into_iter().flatten() {
            ban(*token, scores);
        }
    }
}
