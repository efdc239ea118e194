//! DeBERTa's products of contents and positions.
//!
//! Of the tables, a task needs the rows of the distances between its queries and the tokens that they see. All products
//! with those are computed as a matrix, from which a score takes the ones of its distance.

use std::ops::Range;

use super::{Attention, Chunk, ROWS, Relative, Task, grow};
use crate::aligned::Aligned;
use crate::simd::{Simd, WIDEST_PANEL};
use crate::tile::Tile;

/// What a thread needs for it.
#[derive(Default)]
pub(super) struct Positions {
    /// The rows of the tables that the task needs.
    rows: Range<usize>,
    /// `[panels, head size, panel]`, of each table.
    packed: [Aligned<f32>; 2],
    /// `[head size]` of each key, scaled.
    keys: Aligned<f32>,
    /// `[ROWS, rows]`, of queries with the first table.
    with_queries: Aligned<f32>,
    /// `[tokens, rows]`, of keys with the second table.
    with_keys: Aligned<f32>,
    /// Which of the two are there.
    there: [bool; 2],
}

impl Positions {
    pub(super) fn fit(
        &mut self,
        attention: &Attention<'_>,
        buckets: &[u32],
        reach: usize,
        chunk: &Chunk,
        seen: &Range<usize>,
    ) {
        let row = |query: usize, key: usize| buckets[reach + query - key] as usize;
        self.rows = row(chunk.rows.start, seen.end - 1)..row(chunk.rows.end - 1, seen.start) + 1;
        let stride = self.rows.len().next_multiple_of(WIDEST_PANEL);
        self.packed.iter_mut().for_each(|packed| grow(packed, stride * attention.head_size));
        grow(&mut self.keys, seen.len() * attention.head_size);
        grow(&mut self.with_queries, ROWS * stride);
        grow(&mut self.with_keys, seen.len() * stride);
    }

    /// Adds the products of `query` with the tokens `keys` to their scores. `block` are the queries at hand, and `seen`
    /// the tokens of the task.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "four ranges of tokens")]
    pub(super) fn add(
        &self,
        buckets: &[u32],
        reach: usize,
        query: usize,
        block: &Range<usize>,
        keys: &Range<usize>,
        seen: &Range<usize>,
        scores: &mut [f32],
    ) {
        let stride = self.rows.len().next_multiple_of(WIDEST_PANEL);
        let of_query = &self.with_queries[(query - block.start) * stride..][..stride];
        for (score, key) in scores.iter_mut().zip(keys.clone()) {
            let column = buckets[reach + query - key] as usize - self.rows.start;
            if self.there[0] {
                *score += of_query[column];
            }
            if self.there[1] {
                *score += self.with_keys[(key - seen.start) * stride + column];
            }
        }
    }
}

impl Task<'_> {
    /// Packs the rows of the tables, and multiplies the keys with theirs.
    #[inline(always)]
    pub(super) fn pack_positions<S: Simd>(&mut self) {
        let Some(Relative::Disentangled { keys, queries, .. }) = self.attention.relative else { return };
        let (size, width) = (self.attention.head_size, self.attention.heads * self.attention.head_size);
        let positions = &mut self.buffers.positions;
        positions.there = [keys.is_some(), queries.is_some()];
        for (table, packed) in [keys, queries].into_iter().zip(&mut positions.packed) {
            let Some(table) = table else { continue };
            for (index, row) in positions.rows.clone().enumerate() {
                let from = &table[row * width + self.head * size..][..size];
                let to = &mut packed[index / S::PANEL * size * S::PANEL..][..size * S::PANEL];
                for (to, x) in to[index % S::PANEL..].iter_mut().step_by(S::PANEL).zip(from) {
                    *to = *x;
                }
            }
        }
        if queries.is_none() {
            return;
        }
        for (to, row) in positions.keys.chunks_exact_mut(size).zip(self.seen.clone()) {
            for (to, x) in to.iter_mut().zip(self.operands[1].row(row, self.head * size, size)) {
                *to = x * self.attention.scale;
            }
        }
        let (tokens, rows) = (self.seen.len(), positions.rows.len());
        multiply::<S>(&positions.keys, tokens, size, &positions.packed[1], rows, &mut positions.with_keys);
    }

    /// Multiplies the queries with the first table.
    #[inline(always)]
    pub(super) fn query_positions<S: Simd>(&mut self, rows: &Range<usize>) {
        let Some(Relative::Disentangled { keys: Some(_), .. }) = self.attention.relative else { return };
        let size = self.attention.head_size;
        let positions = &mut self.buffers.positions;
        let (queries, count) = (&self.buffers.queries, positions.rows.len());
        multiply::<S>(queries, rows.len(), size, &positions.packed[0], count, &mut positions.with_queries);
    }
}

/// `to [rows, columns] = x packed`, with rows of `to` as long as the widest panels.
#[inline(always)]
fn multiply<S: Simd>(x: &[f32], rows: usize, depth: usize, packed: &[f32], columns: usize, to: &mut [f32]) {
    let stride = columns.next_multiple_of(WIDEST_PANEL);
    for panel in 0..columns.div_ceil(S::PANEL) {
        let packed = &packed[panel * depth * S::PANEL..][..depth * S::PANEL];
        for first in (0..rows).step_by(S::ROWS) {
            let count = S::ROWS.min(rows - first);
            let to = &mut to[first * stride + panel * S::PANEL..][..(count - 1) * stride + S::PANEL];
            let tile = Tile {
                depth,
                a: x[first * depth..][..count * depth].as_ptr(),
                a_stride: depth,
                b: packed.as_ptr(),
                c: to.as_mut_ptr(),
                c_stride: stride,
                accumulate: false,
            };
            // SAFETY: the caller runs by `Isa::run`, which has asked for `S`; the slices are as long as the tile needs.
            #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
            unsafe {
                S::tile(count, tile);
            }
        }
    }
}
