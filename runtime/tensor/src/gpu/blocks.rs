//! Kept keys and values in the memory of a GPU: a buffer for each attention, which grows with the blocks in use.

use runtime_gpu::{Error, Gpu, Kept, Recorder};
use runtime_kernels::Place;

use crate::cache::apart;

/// Blocks that there is room for at first.
const FIRST: usize = 64;

/// The blocks of a plan.
pub(crate) struct GpuBlocks {
    gpu: Gpu,
    /// Heads and their size, of texts and of their sources.
    places: [Vec<Place>; 2],
    /// Buffers for each place, with room for as many blocks.
    kept: [Vec<Kept>; 2],
    room: usize,
    limit: usize,
    len: usize,
    /// Blocks that are copied before the next run, in this order.
    copies: Vec<(u32, u32)>,
}

impl GpuBlocks {
    pub(super) fn new(gpu: Gpu, places: Vec<Place>, source_places: Vec<Place>, limit: usize) -> Self {
        let (kept, copies) = ([Vec::new(), Vec::new()], Vec::new());
        Self { gpu, places: [places, source_places], kept, room: 0, limit, len: 0, copies }
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.places.iter().flatten().map(|place| Kept::block_bytes(place.heads, place.head_size)).sum()
    }

    /// How many there can be: as much as buffers allow, and what is free.
    pub(super) fn most(&self) -> usize {
        let bytes = |place: &Place| Kept::block_bytes(place.heads, place.head_size).max(1);
        let largest = self.places.iter().flatten().map(bytes).max().unwrap_or(1);
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
                let new = Kept::new(&self.gpu, room, place.heads, place.head_size)?;
                if let Some(old) = kept.get(number) {
                    new.fill_from(&self.gpu, old)?;
                }
                grown.push(new);
            }
        }
        (self.kept, self.room) = (grown, room);
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
            let mut blocks = GpuBlocks::new(gpu.clone(), vec![place], Vec::new(), 8);
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
