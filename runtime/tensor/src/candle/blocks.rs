//! Kept keys and values as tensors: two for each attention, with a row for each token of each block, which grow with the
//! blocks in use.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use runtime_kernels::{BLOCK, Place};

use super::Candle;
use crate::Error;
use crate::cache::apart;

/// Blocks that there is room for at first.
const FIRST: usize = 64;

/// The blocks of a plan.
pub(crate) struct CandleBlocks {
    device: Candle,
    /// Numbers in a row of keys, and in one of values, of texts and of their sources.
    widths: [Vec<usize>; 2],
    /// Keys and values for each of them, `[blocks * BLOCK, width]`.
    kept: [Vec<[Tensor; 2]>; 2],
    room: usize,
    limit: usize,
    len: usize,
    /// Blocks that are copied before the next run, in this order.
    copies: Vec<(u32, u32)>,
}

impl CandleBlocks {
    pub(super) fn new(device: Candle, places: &[Place], source_places: &[Place], limit: usize) -> Self {
        let widths = [places, source_places].map(|places| {
            let width = |place: &Place| place.heads * place.head_size;
            places.iter().map(width).collect()
        });
        Self { device, widths, kept: Default::default(), room: 0, limit, len: 0, copies: Vec::new() }
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.widths.iter().flatten().map(|width| 2 * width * BLOCK * size_of::<f32>()).sum()
    }

    /// How many there can be in what is free now.
    pub(super) fn most(&self) -> Result<usize, Error> {
        // Some is left for what runs compute with; while they grow, tensors take half as much again.
        let fits = |free: u64| usize::try_from(free).unwrap_or(usize::MAX) / 2 / self.block_bytes().max(1);
        Ok(self.limit.min(self.device.free()?.map_or(usize::MAX, fits)).max(1))
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
    pub(super) fn texts(&self) -> &[[Tensor; 2]] {
        &self.kept[0]
    }

    /// What is kept of sources.
    pub(super) fn sources(&self) -> &[[Tensor; 2]] {
        &self.kept[1]
    }

    /// Makes room for all blocks, and copies those that are to be.
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        if self.len > self.room {
            self.grow()?;
        }
        let raw = &self.device.raw;
        for copies in apart(&self.copies) {
            let from = upload(copies.iter().flat_map(|(from, _)| rows(*from)), raw)?;
            let to = upload(copies.iter().flat_map(|(_, to)| rows(*to)), raw)?;
            for kept in self.kept.iter().flatten().flatten() {
                put(kept, &to, &kept.index_select(&from, 0)?)?;
            }
        }
        self.copies.clear();
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Error> {
        let room = self.len.next_power_of_two().max(FIRST).min(self.limit.max(self.len));
        let mut grown = [Vec::new(), Vec::new()];
        for ((grown, widths), kept) in grown.iter_mut().zip(&self.widths).zip(&self.kept) {
            for (number, width) in widths.iter().enumerate() {
                let new = || Tensor::zeros((room * BLOCK, *width), DType::F32, &self.device.raw);
                let new = [new()?, new()?];
                for (new, old) in new.iter().zip(kept.get(number).into_iter().flatten()) {
                    new.slice_set(old, 0, 0)?;
                }
                grown.push(new);
            }
        }
        (self.kept, self.room) = (grown, room);
        Ok(())
    }
}

/// The rows of a block.
fn rows(block: u32) -> Range<u32> {
    let tokens = u32::try_from(BLOCK).unwrap_or(u32::MAX);
    block * tokens..(block + 1) * tokens
}

fn upload(rows: impl Iterator<Item = u32>, device: &Device) -> Result<Tensor, Error> {
    let rows: Vec<u32> = rows.collect();
    Ok(Tensor::from_slice(&rows, rows.len(), device)?)
}

/// Writes rows of a matrix where `ids` says.
///
/// Of candle's ways to write in place, CUDA has a kernel for `scatter`, which wants an index for each number.
pub(super) fn put(to: &Tensor, ids: &Tensor, rows: &Tensor) -> Result<(), Error> {
    let indices = ids.unsqueeze(1)?.broadcast_as(rows.shape())?.contiguous()?;
    Ok(to.scatter_set(&indices, &rows.contiguous()?, 0)?)
}
