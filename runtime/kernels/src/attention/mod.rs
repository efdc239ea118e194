//! Attention over packed sequences.
//!
//! A task is one head of some rows of one sequence. It packs the keys and values that those rows see, as products of
//! weights have theirs packed, and then goes through its rows a few at a time: scores, softmax, sums of values, all in
//! the first-level cache. What a row adds up, and in which order, depends on its place in its sequence alone.

mod cached;
mod positions;

use std::ops::Range;

pub use cached::{BLOCK, CachedAttention, Kept, Past, Place};
use positions::Positions;

use crate::aligned::Aligned;
use crate::math::{exp, tanh};
use crate::reduce::max;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd, WIDEST_PANEL};
use crate::team::Team;
use crate::tile::Tile;

/// The most query rows in a task: packing keys and values costs little beside that many.
const TASK_ROWS: usize = 256;

/// Query rows whose scores are held at once.
const ROWS: usize = 24;

/// Some columns of a matrix.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// The whole matrix.
    pub x: &'a [f32],
    /// Numbers in a row of it.
    pub stride: usize,
    /// The first of the columns.
    pub first: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn row(&self, row: usize, column: usize, count: usize) -> &'a [f32] {
        &self.x[row * self.stride + self.first + column..][..count]
    }
}

/// `softmax(scale * q k^T + bias) v` for each head, within each sequence.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Where sequences begin and the last one ends, `[s + 1]`.
    pub offsets: &'a [usize],
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`.
    pub key_value_heads: usize,
    /// Numbers of a head.
    pub head_size: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// The greatest distance at which a token is seen.
    pub window: Option<usize>,
    /// Factor of the scores.
    pub scale: f32,
    /// `c` in `c tanh(score / c)` of scaled scores.
    pub soft_cap: Option<f32>,
    /// What the distance of two tokens adds to their scaled score.
    pub relative: Option<Relative<'a>>,
}

/// What the distance of two tokens adds to their score. Distances run from `-reach` on; `reach` is at least that of the
/// longest sequence.
#[derive(Clone, Copy)]
pub enum Relative<'a> {
    /// A number for each head and each `key - query`.
    Bias {
        /// `[heads, 2 * reach + 1]`
        table: &'a [f32],
        /// The greatest distance.
        reach: usize,
    },
    /// Products of contents and rows of tables, times the scale (DeBERTa).
    Disentangled {
        /// The row for each `query - key`, which never falls as that grows, `[2 * reach + 1]`.
        rows: &'a [u32],
        /// The greatest distance.
        reach: usize,
        /// `[rows, heads * head_size]`, whose products with queries count.
        keys: Option<&'a [f32]>,
        /// `[rows, heads * head_size]`, whose products with keys count.
        queries: Option<&'a [f32]>,
    },
}

/// Memory of the threads; it grows to what the longest sequence needs.
#[derive(Default)]
pub struct AttentionScratch {
    threads: Vec<Buffers>,
    chunks: Vec<Chunk>,
}

/// Some rows of a sequence.
#[derive(Clone)]
struct Chunk {
    sequence: Range<usize>,
    rows: Range<usize>,
}

/// What a thread needs.
#[derive(Default)]
struct Buffers {
    /// `[panels, head size, panel]`
    keys: Aligned<f32>,
    /// `[panels, tokens, panel]`
    values: Aligned<f32>,
    /// `[ROWS, head size]`
    queries: Aligned<f32>,
    /// `[ROWS, tokens]`
    scores: Aligned<f32>,
    /// `[ROWS, head size]`
    sums: Aligned<f32>,
    positions: Positions,
}

impl Buffers {
    fn fit(&mut self, tokens: usize, head_size: usize) {
        let (tokens, size) = (tokens.next_multiple_of(WIDEST_PANEL), head_size.next_multiple_of(WIDEST_PANEL));
        for (buffer, len) in [
            (&mut self.keys, tokens * size),
            (&mut self.values, tokens * size),
            (&mut self.queries, ROWS * size),
            (&mut self.scores, ROWS * tokens),
            (&mut self.sums, ROWS * size),
        ] {
            grow(buffer, len);
        }
    }
}

fn grow(buffer: &mut Aligned<f32>, len: usize) {
    if buffer.len() < len {
        *buffer = Aligned::zeros(len);
    }
}

impl Attention<'_> {
    /// Fills `to [n, heads * head_size]` for the best instruction set.
    pub fn run(&self, team: &Team<'_>, [q, k, v]: [Columns<'_>; 3], scratch: &mut AttentionScratch, to: &mut [f32]) {
        self.run_on(Isa::best(), team, [q, k, v], scratch, to);
    }

    /// The same for an instruction set.
    pub fn run_on(
        &self,
        isa: Isa,
        team: &Team<'_>,
        [q, k, v]: [Columns<'_>; 3],
        scratch: &mut AttentionScratch,
        to: &mut [f32],
    ) {
        let tokens = self.offsets.last().copied().unwrap_or(0);
        assert_eq!(to.len(), tokens * self.heads * self.head_size, "a row for each token");
        scratch.chunks.clear();
        let mut longest = 0;
        for pair in self.offsets.windows(2) {
            let sequence = pair[0]..pair[1];
            let chunks = sequence.len().div_ceil(TASK_ROWS);
            for index in 0..chunks {
                let rows = sequence.start + sequence.len() * index / chunks
                    ..sequence.start + sequence.len() * (index + 1) / chunks;
                longest = longest.max(self.seen(&sequence, &rows).len());
                scratch.chunks.push(Chunk { sequence: sequence.clone(), rows });
            }
        }
        if scratch.threads.len() < team.threads() {
            scratch.threads.resize_with(team.threads(), Buffers::default);
        }
        for buffers in &mut scratch.threads[..team.threads()] {
            buffers.fit(longest, self.head_size);
        }
        let (chunks, threads) = (&scratch.chunks, Shared::new(&mut scratch.threads));
        let to = Shared::new(to);
        team.each(chunks.len() * self.heads, &|task, thread| {
            // SAFETY: no two tasks run at the same time on the same thread.
            #[expect(unsafe_code, reason = "each thread has its buffers")]
            let buffers = unsafe { &mut threads.part(thread..thread + 1)[0] };
            let chunk = &chunks[task / self.heads];
            let seen = self.seen(&chunk.sequence, &chunk.rows);
            let head = task % self.heads;
            if let Some(Relative::Disentangled { rows, reach, .. }) = self.relative {
                buffers.positions.fit(self, rows, reach, chunk, &seen);
            }
            isa.run(Task { attention: self, operands: [q, k, v], head, chunk, seen, buffers, to: &to });
        });
    }

    /// The tokens that some of `rows` see.
    #[inline(always)]
    fn seen(&self, sequence: &Range<usize>, rows: &Range<usize>) -> Range<usize> {
        let reach = self.window.unwrap_or(usize::MAX);
        let start = rows.start.saturating_sub(reach).max(sequence.start);
        let last = if self.causal { rows.end } else { rows.end.saturating_add(reach) };
        start..last.min(sequence.end)
    }
}

/// One head of some rows.
struct Task<'a> {
    attention: &'a Attention<'a>,
    operands: [Columns<'a>; 3],
    head: usize,
    chunk: &'a Chunk,
    /// The tokens whose keys and values are packed.
    seen: Range<usize>,
    buffers: &'a mut Buffers,
    to: &'a Shared<'a, f32>,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        self.pack::<S>();
        self.pack_positions::<S>();
        let Range { start, end } = self.chunk.rows;
        for first in (start..end).step_by(ROWS) {
            let rows = first..end.min(first + ROWS);
            let seen = self.attention.seen(&self.chunk.sequence, &rows);
            // The packed keys are read by whole panels.
            let panels = (seen.start - self.seen.start) / S::PANEL..(seen.end - self.seen.start).div_ceil(S::PANEL);
            self.scores::<S>(&rows, &panels);
            self.query_positions::<S>(&rows);
            let mut factors = [0.0; ROWS];
            for (row, factor) in rows.clone().zip(&mut factors) {
                *factor = self.softmax::<S>(&rows, row, &panels);
            }
            self.sums::<S>(&rows, &panels);
            let (size, padded) = (self.attention.head_size, self.attention.head_size.next_multiple_of(S::PANEL));
            let width = self.attention.heads * size;
            for ((row, from), factor) in rows.zip(self.buffers.sums.chunks_exact(padded)).zip(factors) {
                let column = row * width + self.head * size;
                // SAFETY: this task alone has these rows of this head.
                #[expect(unsafe_code, reason = "the result is cut up among tasks")]
                let to = unsafe { self.to.part(column..column + size) };
                for (to, x) in to.iter_mut().zip(from) {
                    *to = x * factor;
                }
            }
        }
    }
}

impl Task<'_> {
    /// Packs keys, a panel of tokens at a time, and values, a panel of columns at a time.
    #[inline(always)]
    fn pack<S: Simd>(&mut self) {
        let size = self.attention.head_size;
        let shared = self.head / (self.attention.heads / self.attention.key_value_heads) * size;
        let [_, k, v] = self.operands;
        let tokens = self.seen.len();
        for (token, row) in self.seen.clone().enumerate() {
            let panel = &mut self.buffers.keys[token / S::PANEL * size * S::PANEL..][..size * S::PANEL];
            let key = k.row(row, shared, size);
            for (to, x) in panel[token % S::PANEL..].iter_mut().step_by(S::PANEL).zip(key) {
                *to = *x;
            }
            let value = v.row(row, shared, size);
            for (panel, part) in value.chunks(S::PANEL).enumerate() {
                let to = &mut self.buffers.values[(panel * tokens + token) * S::PANEL..][..S::PANEL];
                if part.len() == S::PANEL {
                    for (to, part) in to.chunks_exact_mut(S::LANES).zip(part.chunks_exact(S::LANES)) {
                        // SAFETY: `Isa::run` has asked for `S`, and both chunks are a vector long.
                        #[expect(unsafe_code, reason = "a call for so few bytes costs more than copying them")]
                        unsafe {
                            S::store(to.as_mut_ptr(), S::load(part.as_ptr()));
                        }
                    }
                } else {
                    to[..part.len()].copy_from_slice(part);
                    to[part.len()..].fill(0.0);
                }
            }
        }
    }

    /// Numbers between the scores of two rows.
    #[inline(always)]
    fn stride<S: Simd>(&self) -> usize {
        self.seen.len().next_multiple_of(S::PANEL)
    }

    #[inline(always)]
    fn scores<S: Simd>(&mut self, rows: &Range<usize>, panels: &Range<usize>) {
        let size = self.attention.head_size;
        for (to, row) in self.buffers.queries.chunks_exact_mut(size).zip(rows.clone()) {
            let query = self.operands[0].row(row, self.head * size, size);
            for (to, x) in to.iter_mut().zip(query) {
                *to = x * self.attention.scale;
            }
        }
        let stride = self.stride::<S>();
        for panel in panels.clone() {
            let keys = &self.buffers.keys[panel * size * S::PANEL..][..size * S::PANEL];
            for first in (0..rows.len()).step_by(S::ROWS) {
                let count = S::ROWS.min(rows.len() - first);
                let to =
                    &mut self.buffers.scores[first * stride + panel * S::PANEL..][..(count - 1) * stride + S::PANEL];
                let tile = Tile {
                    depth: size,
                    a: self.buffers.queries[first * size..][..count * size].as_ptr(),
                    a_stride: size,
                    b: keys.as_ptr(),
                    c: to.as_mut_ptr(),
                    c_stride: stride,
                    accumulate: false,
                };
                // SAFETY: `Isa::run` has asked for `S`; the slices above are as long as the tile needs.
                #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
                unsafe {
                    S::tile(count, tile);
                }
            }
        }
    }

    /// Turns the scores of a row into weights, zero where it does not see, and returns the inverse of their sum.
    #[inline(always)]
    fn softmax<S: Simd>(&mut self, rows: &Range<usize>, row: usize, panels: &Range<usize>) -> f32 {
        let stride = self.stride::<S>();
        let seen = self.attention.seen(&self.chunk.sequence, &(row..row + 1));
        let scores = &mut self.buffers.scores[(row - rows.start) * stride..][..stride];
        let (start, end) = (seen.start - self.seen.start, seen.end - self.seen.start);
        scores[panels.start * S::PANEL..start].fill(0.0);
        scores[end..panels.end * S::PANEL].fill(0.0);
        weigh::<S>(&mut scores[start..end], self.attention.soft_cap, |scores| match self.attention.relative {
            None => {}
            Some(Relative::Bias { table, reach }) => {
                let first = self.head * (2 * reach + 1) + reach + seen.start - row;
                for (score, bias) in scores.iter_mut().zip(&table[first..]) {
                    *score += bias;
                }
            }
            Some(Relative::Disentangled { rows: buckets, reach, .. }) => {
                self.buffers.positions.add(buckets, reach, row, rows, &seen, &self.seen, scores);
            }
        })
    }

    #[inline(always)]
    fn sums<S: Simd>(&mut self, rows: &Range<usize>, panels: &Range<usize>) {
        let (size, stride) = (self.attention.head_size, self.stride::<S>());
        let padded = size.next_multiple_of(S::PANEL);
        let tokens = panels.start * S::PANEL..self.seen.len().min(panels.end * S::PANEL);
        for panel in 0..padded / S::PANEL {
            let values = &self.buffers.values[(panel * self.seen.len() + tokens.start) * S::PANEL..];
            let values = &values[..tokens.len() * S::PANEL];
            for first in (0..rows.len()).step_by(S::ROWS) {
                let count = S::ROWS.min(rows.len() - first);
                let to = &mut self.buffers.sums[first * padded + panel * S::PANEL..][..(count - 1) * padded + S::PANEL];
                let weights = &self.buffers.scores[first * stride + tokens.start..];
                let tile = Tile {
                    depth: tokens.len(),
                    a: weights[..(count - 1) * stride + tokens.len()].as_ptr(),
                    a_stride: stride,
                    b: values.as_ptr(),
                    c: to.as_mut_ptr(),
                    c_stride: padded,
                    accumulate: false,
                };
                // SAFETY: `Isa::run` has asked for `S`; the slices above are as long as the tile needs.
                #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
                unsafe {
                    S::tile(count, tile);
                }
            }
        }
    }
}

/// Turns scores into weights, once `add` has added to them, and returns the inverse of their sum.
#[inline(always)]
fn weigh<S: Simd>(scores: &mut [f32], soft_cap: Option<f32>, add: impl FnOnce(&mut [f32])) -> f32 {
    if let Some(cap) = soft_cap {
        for score in scores.iter_mut() {
            *score = cap * tanh::<S>(*score / cap);
        }
    }
    add(scores);
    let highest = max(scores);
    let (chunks, rest) = scores.as_chunks_mut::<16>();
    let mut lanes = [0.0f32; 16];
    for chunk in chunks {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            *score = exp::<S>(*score - highest);
            *lane += *score;
        }
    }
    let mut sum = lanes.iter().sum::<f32>();
    for score in rest {
        *score = exp::<S>(*score - highest);
        sum += *score;
    }
    1.0 / sum
}
