//! Kept keys, values and states in the memory of the processor: all layers of a token range in one block.

use runtime_kernels::{Buffer, Place};

/// The blocks of a plan.
pub(crate) struct CpuBlocks {
    pub(super) places: Vec<Place>,
    /// Where a block of a source has the keys and values of each attention to it.
    pub(super) source_places: Vec<Place>,
    /// Where a block has the state of each operator behind its last token.
    pub(super) states: Vec<usize>,
    pub(crate) memory: Vec<Buffer>,
    block_len: usize,
}

impl CpuBlocks {
    /// Blocks for keys and values, and for states of as many numbers.
    pub(crate) fn new(places: Vec<Place>, source_places: Vec<Place>, states: &[usize]) -> Self {
        let end = |places: &[Place]| places.last().map_or(0, |place| place.first + place.len());
        let mut of_texts = end(&places);
        let states = states.iter().map(|numbers| {
            of_texts += numbers;
            of_texts - numbers
        });
        let states = states.collect();
        let block_len = of_texts.max(end(&source_places));
        Self { places, source_places, states, memory: Vec::new(), block_len }
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
