//! Kept keys, values and states in the memory of a GPU: a buffer for each operator, which grows with the blocks in use.

use runtime_gpu::{CacheType, Error, Gpu, Kept, KeptStates, Recorder};
use runtime_kernels::Place;

use crate::cache::apart;

/// Blocks that there is room for at first.
const FIRST: usize = 64;

/// The blocks of a plan.
pub(crate) struct GpuBlocks {
    gpu: Gpu,
    /// What keys and values are kept in.
    cache_type: CacheType,
    /// Heads and their size, of texts and of their sources.
    places: [Vec<Place>; 2],
    /// Buffers for each place, with room for as many blocks.
    kept: [Vec<Kept>; 2],
    /// Numbers of the state of each operator that has one, and buffers for them.
    state_numbers: Vec<usize>,
    states: Vec<KeptStates>,
    room: usize,
    limit: usize,
    len: usize,
    /// Blocks that are copied before the next run, in this order.
    copies: Vec<(u32, u32)>,
}

impl GpuBlocks {
    /// At most `limit` blocks for keys and values, and for states of as many numbers.
    pub(super) fn new(
        gpu: Gpu,
        cache_type: CacheType,
        places: Vec<Place>,
        source_places: Vec<Place>,
        state_numbers: Vec<usize>,
        limit: usize,
    ) -> Self {
        let (kept, states, copies) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        let places = [places, source_places];
        Self { gpu, cache_type, places, kept, state_numbers, states, room: 0, limit, len: 0, copies }
    }

    /// Bytes of a block in each buffer.
    fn bytes(&self) -> impl Iterator<Item = usize> {
        let kept = self.places.iter().flatten().map(|place| self.kept_bytes(place));
        kept.chain(self.state_numbers.iter().map(|numbers| KeptStates::block_bytes(*numbers)))
    }

    fn kept_bytes(&self, place: &Place) -> usize {
        Kept::block_bytes((place.heads, place.head_size), self.cache_type)
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.bytes().sum()
    }

    /// How many there can be: as much as buffers allow, and what is free.
    pub(super) fn most(&self) -> usize {
        let largest = self.bytes().max().unwrap_or(1).max(1);
        let by_buffer = usize::try_from(self.gpu.largest()).unwrap_or(usize::MAX) / largest;
        let by_memory = self.gpu.adapter().memory.map(|memory| {
            // Some is left for what runs compute with; while they grow, buffers take half as much again.
            let free = usize::try_from(memory.saturating_sub(self.gpu.held())).unwrap_or(usize::MAX);
            free / 2 / self.block_bytes().max(1)
        });
        self.limit.min(by_buffer).min(by_memory.unwrap_or(usize::MAX)).max(1)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add(&mut self) {
        self.len += 1;
    }

    pub(crate) fn copy(&mut self, from: u32, to: u32) {
        self.copies.push((from, to));
    }

    /// What is kept of texts, by the number of their attention.
    pub(super) fn texts(&self) -> &[Kept] {
        &self.kept[0]
    }

    /// What is kept of sources.
    pub(super) fn sources(&self) -> &[Kept] {
        &self.kept[1]
    }

    /// What is kept of operators with a state, by their number.
    pub(super) fn states(&self) -> &[KeptStates] {
        &self.states
    }

    /// Makes room for all blocks, and copies those that are to be; again, until [`Self::copied`] is said.
    pub(super) fn prepare(&mut self, recorder: &mut Recorder) -> Result<(), Error> {
        // Also for a first run without tokens.
        if self.len > self.room || self.room == 0 {
            self.grow()?;
        }
        for copies in apart(&self.copies) {
            for kept in self.kept.iter().flatten() {
                recorder.copy_blocks(kept, copies)?;
            }
            for states in &self.states {
                recorder.copy_states(states, copies)?;
            }
        }
        Ok(())
    }

    /// Says that what was prepared has been run.
    pub(super) fn copied(&mut self) {
        self.copies.clear();
    }

    fn grow(&mut self) -> Result<(), Error> {
        let room = self.len.next_power_of_two().max(FIRST).min(self.limit.max(self.len));
        let mut grown = [Vec::new(), Vec::new()];
        for ((grown, places), kept) in grown.iter_mut().zip(&self.places).zip(&self.kept) {
            for (number, place) in places.iter().enumerate() {
                let new = Kept::new(&self.gpu, room, (place.heads, place.head_size), self.cache_type)?;
                if let Some(old) = kept.get(number) {
                    new.fill_from(&self.gpu, old)?;
                }
                grown.push(new);
            }
        }
        let mut states = Vec::new();
        for (number, numbers) in self.state_numbers.iter().enumerate() {
            let new = KeptStates::new(&self.gpu, room, *numbers)?;
            if let Some(old) = self.states.get(number) {
                new.fill_from(&self.gpu, old)?;
            }
            states.push(new);
        }
        (self.kept, self.states, self.room) = (grown, states, room);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_waits_for_a_run_that_succeeds() {
        for adapter in runtime_gpu::adapters() {
            let gpu = Gpu::open(&adapter).expect("it opens");
            let place = Place { first: 0, heads: 1, head_size: 4 };
            let mut blocks = GpuBlocks::new(gpu.clone(), CacheType::F32, vec![place], Vec::new(), vec![3], 8);
            (0..2).for_each(|_| blocks.add());
            blocks.copy(0, 1);
            // One recording is dropped, as where it fails; the next one has the copy again.
            for _ in 0..2 {
                let mut recorder = gpu.record();
                blocks.prepare(&mut recorder).expect("there is room");
                assert_eq!(blocks.copies, [(0, 1)]);
            }
            blocks.copied();
            assert_eq!(blocks.copies, []);
        }
    }
}
