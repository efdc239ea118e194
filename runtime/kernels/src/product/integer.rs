//! Products of bytes.
//!
//! A row `x`, each input times its balance, becomes `x = scale (q - zero)` with `q` from 0 to 127, so that the row's extremes and 0 are met; with
//! weights `w = s v`, the product is `scale s (sum of q v - zero sum of v)`, whose sums are exact integers.

use std::ops::Range;

use super::{Block, Product, Quantized};
use crate::chunk::{CHUNK, Chunk, put, take};
use crate::packed::Integers;
use crate::shared::Shared;
use crate::simd::{Kernel, Simd, TALLEST_TILE, WIDEST_PANEL};
use crate::team::Team;
use crate::tile::IntegerTile;

/// The largest activation in bytes.
const LARGEST: f32 = 127.0;

/// 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// Rows that are turned into bytes in a task of their own.
const ROWS: usize = 16;

/// How a row is scaled.
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    scale: f32,
    zero: i32,
}

/// The rows of one product.
pub(super) struct Rows<'a> {
    words: Shared<'a, u32>,
    rows: Shared<'a, Row>,
    /// What each input is multiplied by first.
    balance: &'a [f32],
    /// Words in a row.
    width: usize,
    count: usize,
}

impl Quantized {
    /// Memory for `count` rows of a product with weights in bytes.
    pub(super) fn of_integers<'a>(
        &'a mut self,
        Integers { balance, .. }: &'a Integers,
        product: &Product<'a>,
        count: usize,
    ) -> Rows<'a> {
        let width = product.weight.inputs.div_ceil(product.weight.isa.group());
        if self.words.len() < width * count {
            self.words.resize(width * count, 0);
        }
        if self.rows.len() < count {
            self.rows.resize(count, Row::default());
        }
        Rows { words: Shared::new(&mut self.words), rows: Shared::new(&mut self.rows), balance, width, count }
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
            scales[0] = quantize::<S>(x, self.to.balance, words);
        }
    }
}

/// Fills `words` with a row as bytes.
#[inline(always)]
fn quantize<S: Simd>(x: &[f32], balance: &[f32], words: &mut [u32]) -> Row {
    let (x, x_rest) = x.as_chunks();
    let (balance, balance_rest) = balance.as_chunks();
    let (x_rest, balance_rest): (Chunk, Chunk) = (take(x_rest), take(balance_rest));
    let mut low: Chunk = [0.0; CHUNK];
    let mut high: Chunk = [0.0; CHUNK];
    for (x, balance) in x.iter().zip(balance).chain([(&x_rest, &balance_rest)]) {
        for index in 0..CHUNK {
            let x = x[index] * balance[index];
            low[index] = if x < low[index] { x } else { low[index] };
            high[index] = if x > high[index] { x } else { high[index] };
        }
    }
    let (low, high) = (low.into_iter().fold(0.0, f32::min), high.into_iter().fold(0.0, f32::max));
    let scale = (high - low) / LARGEST;
    let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let zero = (-low * factor + ROUND) - ROUND;
    let mut words = words.chunks_exact_mut(CHUNK / S::GROUP);
    for ((x, balance), words) in x.iter().zip(balance).zip(&mut words) {
        group::<S>(*x, *balance, factor, zero, words);
        // SAFETY: it does nothing.
        #[expect(unsafe_code, reason = "it keeps the compiler from seeking vectors across chunks, which gathers them")]
        unsafe {
            std::arch::asm!("", options(nomem, nostack, preserves_flags));
        }
    }
    group::<S>(x_rest, balance_rest, factor, zero, words.into_remainder());
    #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 127")]
    Row { scale, zero: zero as i32 }
}

/// Fills `words` with numbers as bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "numbers from 0 to 127")]
fn group<S: Simd>(x: Chunk, balance: Chunk, factor: f32, zero: f32, words: &mut [u32]) {
    let mut bytes: Chunk<u8> = [0; CHUNK];
    for index in 0..CHUNK {
        let x = x[index] * balance[index] * factor + zero;
        bytes[index] = (x.clamp(0.0, LARGEST) + ROUND).to_bits() as u8;
    }
    if S::GROUP == 4 {
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
    } else {
        for (word, [low, high]) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from(*low) | u32::from(*high) << 16;
        }
    }
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
        let mut sums = [0; TALLEST_TILE * WIDEST_PANEL];
        for panel in panels.clone() {
            for rows in self.block.tiles(S::INTEGER_ROWS) {
                self.tile::<S>(panel, rows, &mut sums);
            }
        }
        self.block.finish_rows();
    }
}

impl Bytes<'_> {
    #[inline(always)]
    fn tile<S: Simd>(&self, panel: usize, rows: Range<usize>, sums: &mut [i32; TALLEST_TILE * WIDEST_PANEL]) {
        let Product { weight, finish, .. } = self.block.product;
        let outputs = self.block.outputs::<S>(panel);
        let groups = self.quantized.width;
        let stored = groups * S::PANEL * S::GROUP;
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
        for (row, sums) in rows.zip(sums.chunks_exact(S::PANEL)) {
            let first = row * weight.outputs + outputs.start;
            // SAFETY: this task alone has these rows and columns of the result, and the rows' scales only change
            // before.
            #[expect(unsafe_code, reason = "memory that tasks share")]
            let (to, scale) =
                unsafe { (self.block.to.part(first..first + outputs.len()), *self.quantized.rows.pointer(row)) };
            for (index, to) in to.chunks_mut(CHUNK).enumerate() {
                let done = index * CHUNK;
                let x = scale.numbers(take(&sums[done..]), take(&totals[done..]), take(&scales[done..]));
                put(finish.chunk::<S>(x, first + done, outputs.start + done), to);
            }
        }
    }
}

impl Row {
    /// The numbers that sums over this row stand for.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "rounding to single precision")]
    fn numbers(self, sums: Chunk<i32>, totals: Chunk<i32>, scales: Chunk) -> Chunk {
        let mut numbers = [0.0; CHUNK];
        for index in 0..CHUNK {
            numbers[index] = (sums[index] - self.zero * totals[index]) as f32 * (self.scale * scales[index]);
        }
        numbers
    }
}
