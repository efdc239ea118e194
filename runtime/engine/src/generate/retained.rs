//! Conversations whose keys and values are kept for the next turn.

use std::collections::VecDeque;

use runtime_tensor::{BLOCK, Cached};

/// Sequences that are kept, at most.
const MOST: usize = 16;

/// A token sequence with what is kept of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) tokens: Vec<u32>,
    /// The number of the adapter that it was computed with.
    pub(super) adapter: Option<u64>,
    pub(super) cached: Cached,
}

/// What is kept, the one used longest ago first.
#[derive(Debug, Default)]
pub(super) struct Retained(VecDeque<Known>);

impl Retained {
    /// Takes what is kept of the longest beginning of `tokens` with an adapter; whole blocks, so that to go on copies none.
    pub(super) fn take(&mut self, tokens: &[u32], adapter: Option<u64>) -> Cached {
        let shared = |known: &[u32]| known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token must be computed in any case, since its scores are asked for.
        let usable = |known: &Known| match known.adapter == adapter {
            true => shared(&known.tokens).min(tokens.len().saturating_sub(1)) / BLOCK * BLOCK,
            false => 0,
        };
        let best = self.0.iter().enumerate().max_by_key(|(_, entry)| usable(entry));
        let Some((place, entry)) = best else { return Cached::new() };
        let (length, whole) = (usable(entry), shared(&entry.tokens) == entry.tokens.len());
        if length == 0 {
            return Cached::new();
        }
        let mut cached = entry.cached.clone();
        // A conversation that goes on replaces what was kept of it.
        if whole {
            self.0.remove(place);
        }
        cached.truncate(length);
        cached
    }

    /// Keeps a sequence, and forgets one where there are many.
    pub(super) fn put(&mut self, mut known: Known) {
        known.tokens.truncate(known.cached.tokens());
        self.0.push_back(known);
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// Blocks that it holds, those it shares counted each time.
    pub(super) fn blocks(&self) -> usize {
        self.0.iter().map(|known| known.cached.tokens().div_ceil(BLOCK)).sum()
    }

    /// Forgets the one used longest ago; whether there was any.
    pub(super) fn forget_one(&mut self) -> bool {
        self.0.pop_front().is_some()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
