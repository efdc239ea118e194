//! Kept keys, values and states in the memory of the processor: all layers of a token range in one block.

use std::collections::HashSet;

use runtime_kernels::{BLOCK, Buffer, Place};

use crate::Error;
use crate::batch::Past;

/// The blocks of a plan.
pub(crate) struct CpuBlocks {
    pub(super) places: Vec<Place>,
    /// Where a block of a source has the keys and values of each attention to it.
    pub(super) source_places: Vec<Place>,
    /// Where a block has the state of each operator behind its last token.
    pub(super) states: Vec<usize>,
    /// Blocks whose state a run was changing when it panicked.
    torn: HashSet<u32>,
    pub(crate) memory: Vec<Buffer>,
    block_len: usize,
}

impl CpuBlocks {
    /// Blocks for keys and values, and for states of as many numbers.
    pub(super) fn new(places: Vec<Place>, source_places: Vec<Place>, states: &[usize]) -> Self {
        let end = |places: &[Place]| places.last().map_or(0, |place| place.first + place.len());
        let mut of_texts = end(&places);
        let states = states.iter().map(|numbers| {
            of_texts += numbers;
            of_texts - numbers
        });
        let states = states.collect();
        let block_len = of_texts.max(end(&source_places));
        Self { places, source_places, states, torn: HashSet::new(), memory: Vec::new(), block_len }
    }

    /// Notes the blocks that a run writes, until [`Self::changed`] is said. One that panics between the two has replaced some of
    /// the states that it began with, so that nobody may go on from them; keys and values would be written once more.
    ///
    /// # Errors
    /// Where that has happened to a sequence.
    pub(super) fn change(&mut self, pasts: &[Past]) -> Result<Vec<u32>, Error> {
        let written = |past: &Past| past.blocks[past.tokens / BLOCK..].to_vec();
        // A run that begins behind a whole block reads that one, and replaces none.
        let replaced = |past: &Past| written(past).first().copied().filter(|_| !past.tokens.is_multiple_of(BLOCK));
        let is_torn = |past: &Past| replaced(past).is_some_and(|block| self.torn.contains(&block));
        if let Some(sequence) = pasts.iter().position(is_torn) {
            return Err(Error::TornState { sequence });
        }
        let changed: Vec<u32> = pasts.iter().flat_map(written).collect();
        self.torn.extend(&changed);
        Ok(changed)
    }

    /// Says that a run has come to its end.
    pub(super) fn changed(&mut self, blocks: &[u32]) {
        self.torn.retain(|torn| !blocks.contains(torn));
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.block_len * size_of::<f32>()
    }

    pub(crate) fn add(&mut self) {
        let mut buffer = Buffer::default();
        buffer.fit(self.block_len);
        self.memory.push(buffer);
    }

    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        let numbers = self.memory[from].to_vec();
        self.memory[to].copy_from_slice(&numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_on_from_a_state_that_a_panic_has_left() {
        let mut blocks = CpuBlocks::new(Vec::new(), Vec::new(), &[3, 4]);
        assert_eq!((&blocks.states[..], blocks.block_bytes()), (&[0, 3][..], 28));
        let past = |tokens, blocks: &[u32]| Past { tokens, blocks: blocks.to_vec(), rewound: false };
        let begun = blocks.change(&[past(5, &[0]), past(BLOCK, &[1, 2]), past(0, &[3])]).expect("all states are there");
        assert_eq!(begun, [0, 2, 3]);
        // It panics. What was read of whole blocks, or not at all, can be read again.
        blocks.change(&[past(BLOCK, &[1, 2]), past(0, &[3])]).expect("their states are there");
        let torn = blocks.change(&[past(0, &[4]), past(5, &[0])]).expect_err("nobody knows its state");
        assert!(matches!(torn, Error::TornState { sequence: 1 }), "{torn}");
        // The block is set free and taken by another sequence.
        let begun = blocks.change(&[past(0, &[0])]).expect("it begins with zeros");
        blocks.changed(&begun);
        blocks.change(&[past(7, &[0])]).expect("its state is there");
    }
}
