//! Products of bytes.
//!
//! A row `x` becomes `x = scale (q - zero)` with `q` from 0 to 255, so that the row's extremes and 0 are met; with
//! weights `w = s v`, the product is `scale s (sum of q v - zero sum of v)`, whose sums are exact integers.

use std::ops::Range;

use super::{Block, Product};
use crate::packed::{Integers, Numbers};
use crate::shared::Shared;
use crate::simd::{Kernel, Simd, TALLEST_TILE, WIDEST_PANEL};
use crate::team::Team;
use crate::tile::IntegerTile;

/// Rows that are turned into bytes in a task of their own.
const ROWS: usize = 16;

/// Memory for activations as bytes; it grows to what the largest product needs.
#[derive(Default)]
pub struct Quantized {
    words: Vec<u32>,
    rows: Vec<Row>,
}

/// How a row is scaled.
#[derive(Clone, Copy, Default)]
struct Row {
    scale: f32,
    zero: i32,
}

/// The rows of one product.
pub(super) struct Rows<'a> {
    words: Shared<'a, u32>,
    rows: Shared<'a, Row>,
    /// Words in a row.
    width: usize,
    count: usize,
}

impl Quantized {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory for the rows of a product, if it needs any.
    pub(super) fn of(&mut self, product: &Product<'_>, count: usize) -> Option<Rows<'_>> {
        if !matches!(product.weight.numbers, Numbers::Int8(_)) {
            return None;
        }
        let width = product.weight.inputs.div_ceil(product.weight.isa.group());
        if self.words.len() < width * count {
            self.words.resize(width * count, 0);
        }
        if self.rows.len() < count {
            self.rows.resize(count, Row::default());
        }
        Some(Rows { words: Shared::new(&mut self.words), rows: Shared::new(&mut self.rows), width, count })
    }
}

impl Rows<'_> {
    /// Turns all rows into bytes, before tasks that share them.
    pub(super) fn fill_all(&self, team: &Team<'_>, product: &Product<'_>) {
        team.each(self.count.div_ceil(ROWS), &|task, _| {
            let rows = task * ROWS..self.count.min((task + 1) * ROWS);
            product.weight.isa.run(Fill { to: self, product, rows });
        });
    }
}

struct Fill<'a> {
    to: &'a Rows<'a>,
    product: &'a Product<'a>,
    rows: Range<usize>,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let inputs = self.product.weight.inputs;
        for row in self.rows {
            let x = &self.product.x[row * inputs..(row + 1) * inputs];
            // SAFETY: rows are cut up among tasks.
            #[expect(unsafe_code, reason = "memory that tasks share")]
            let (words, scales) = unsafe {
                (self.to.words.part(row * self.to.width..(row + 1) * self.to.width), self.to.rows.part(row..row + 1))
            };
            scales[0] = quantize::<S>(x, words);
        }
    }
}

/// Fills `words` with a row as bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "numbers from 0 to 255")]
fn quantize<S: Simd>(x: &[f32], words: &mut [u32]) -> Row {
    let mut low = [0.0f32; 16];
    let mut high = [0.0f32; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for ((low, high), x) in low.iter_mut().zip(&mut high).zip(chunk) {
            *low = if *x < *low { *x } else { *low };
            *high = if *x > *high { *x } else { *high };
        }
    }
    let low = low.iter().chain(rest).copied().fold(0.0, f32::min);
    let high = high.iter().chain(rest).copied().fold(0.0, f32::max);
    let scale = (high - low) / 255.0;
    let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    // 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
    let round = 12_582_912.0f32;
    let zero = (-low * factor + round) - round;
    let byte = |x: f32| ((x * factor + zero).clamp(0.0, 255.0) + round).to_bits() & 0xff;
    if S::GROUP == 2 {
        let (pairs, rest) = x.as_chunks::<2>();
        for (word, [first, second]) in words.iter_mut().zip(pairs) {
            *word = byte(*first) | byte(*second) << 16;
        }
        if let ([x], Some(word)) = (rest, words.last_mut()) {
            *word = byte(*x);
        }
    } else {
        let (quads, rest) = x.as_chunks::<4>();
        for (word, [a, b, c, d]) in words.iter_mut().zip(quads) {
            *word = byte(*a) | byte(*b) << 8 | byte(*c) << 16 | byte(*d) << 24;
        }
        if let (false, Some(word)) = (rest.is_empty(), words.last_mut()) {
            *word = rest.iter().rev().fold(0, |word, x| word << 8 | byte(*x));
        }
    }
    Row { scale, zero: zero as i32 }
}

/// A block of byte weights.
pub(super) struct Bytes<'a> {
    pub(super) block: Block<'a>,
    pub(super) weights: &'a Integers,
    pub(super) quantized: &'a Rows<'a>,
    /// Whether this task turns its rows into bytes itself.
    pub(super) fill: bool,
}

impl Kernel for Bytes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Block { product, rows, panels, .. } = &self.block;
        if self.fill {
            Fill { to: self.quantized, product, rows: rows.clone() }.run::<S>();
        }
        for panel in panels.clone() {
            for rows in self.block.tiles::<S>() {
                self.tile::<S>(panel, rows);
            }
        }
        self.block.finish_rows();
    }
}

impl Bytes<'_> {
    #[inline(always)]
    fn tile<S: Simd>(&self, panel: usize, rows: Range<usize>) {
        let Product { weight, finish, .. } = self.block.product;
        let outputs = self.block.outputs::<S>(panel);
        let groups = self.quantized.width;
        let stored = groups * S::PANEL * S::GROUP;
        let mut sums = [0i32; TALLEST_TILE * WIDEST_PANEL];
        let tile = IntegerTile {
            groups,
            a: self.quantized.words.pointer(rows.start * groups),
            a_stride: groups,
            b: self.weights.weights[panel * stored..][..stored].as_ptr(),
            c: sums.as_mut_ptr(),
        };
        // SAFETY: `Isa::run` has asked for `S`; the rows have been filled, and have `groups` words each; the buffer
        // holds the largest tile.
        #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
        unsafe {
            S::integer_tile(rows.len(), tile);
        }
        let columns = panel * S::PANEL..(panel + 1) * S::PANEL;
        let (scales, totals) = (&self.weights.scales[columns.clone()], &self.weights.sums[columns]);
        for (row, sums) in rows.clone().zip(sums.chunks_exact(S::PANEL)) {
            let first = row * weight.outputs;
            // SAFETY: this task alone has these rows and columns of the result, and the rows' scales only change
            // before.
            #[expect(unsafe_code, reason = "memory that tasks share")]
            let (to, Row { scale, zero }) = unsafe {
                let to = self.block.to.part(first + outputs.start..first + outputs.end);
                (to, *self.quantized.rows.pointer(row))
            };
            for (((to, sum), total), factor) in to.iter_mut().zip(sums).zip(totals).zip(scales) {
                #[expect(clippy::cast_precision_loss, reason = "rounding to single precision")]
                let sum = (sum - zero * total) as f32;
                *to = sum * (scale * factor);
            }
        }
        finish.tile::<S>(self.block.to, weight.outputs, rows, outputs);
    }
}
