//! Arrays, for which the compiler finds whatever vectors the processor family has.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

use half::bf16;

use super::{Simd, Weight};
use crate::blocks::panel;
use crate::blocks::tile::{BlockTile, Source};
use crate::tile::{IntegerTile, Tile, by_rows};

/// Vectors in a row of a tile.
const VECTORS: usize = 1;

#[derive(Clone, Copy)]
pub(crate) struct Plain;

// SAFETY of all blocks: `Simd` is used only where the processor has these instructions, with pointers that are valid.
impl Simd for Plain {
    const LANES: usize = 16;
    const PANEL: usize = VECTORS * Self::LANES;
    const ROWS: usize = 4;
    const FUSED: bool = false;
    const GROUP: usize = 2;
    const INTEGER_ROWS: usize = Self::ROWS;
    const BLOCK_ROWS: usize = Self::ROWS;
    const HALVES: bool = false;

    type Vector = [f32; 16];
    type Line = panel::Line;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Vector {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::Vector {
        unsafe { from.cast::<[bf16; 16]>().read_unaligned().map(bf16::to_f32) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::Vector) {
        unsafe { to.cast::<[f32; 16]>().write_unaligned(x) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    unsafe fn tile<W: Weight>(rows: usize, tile: Tile<W>) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, tile.compute::<Self, VECTORS>, 1 2 3 4) }
    }

    #[inline(always)]
    unsafe fn integer_tile(rows: usize, tile: IntegerTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, integers, tile, 1 2 3 4) }
    }

    #[inline(always)]
    unsafe fn block_tile<B: Source>(rows: usize, tile: BlockTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, blocks::<B>, tile, 1 2 3 4) }
    }

    #[inline(always)]
    unsafe fn line(from: *const panel::Line) -> Self::Line {
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn part(mut line: Self::Line, shift: usize, mask: u8) -> Self::Line {
        for byte in &mut line {
            *byte = *byte >> shift & mask;
        }
        line
    }

    #[inline(always)]
    unsafe fn join(mut low: Self::Line, high: Self::Line, shift: usize) -> Self::Line {
        for at in 0..low.len() {
            low[at] |= high[at] << shift;
        }
        low
    }
}

#[inline(always)]
unsafe fn blocks<B: Source, const ROWS: usize>(tile: BlockTile) {
    unsafe {
        for group in 0..tile.groups {
            let mut sums = [[0i32; 16]; ROWS];
            for line in 0..B::LINES {
                let weights = B::line::<Plain>(tile.weights, group, line, false);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = (*tile.a.add(row * tile.a_stride + group * B::LINES + line)).to_le_bytes();
                    for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                        for at in 0..4 {
                            *sum += i32::from(weights[at]) * i32::from(a[at].cast_signed());
                        }
                    }
                }
            }
            let (scales, mins) = (*tile.scales.add(group), *tile.mins.add(group));
            for (row, sums) in sums.into_iter().enumerate() {
                let [scale, of_row] = *tile.factors.add(row * tile.factors_stride + group);
                let to = &mut *tile.c.add(row);
                for column in 0..16 {
                    let sum = if B::MIN { sums[column] } else { sums[column] - of_row.cast_signed() };
                    #[expect(clippy::cast_precision_loss, reason = "a sum of less than 2^24")]
                    let sum = sum as f32;
                    to[column] += sum * (f32::from_bits(scale) * scales[column]);
                    if B::MIN {
                        to[column] += mins[column] * f32::from_bits(of_row);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn integers<const ROWS: usize>(tile: IntegerTile) {
    unsafe {
        let mut sums = [[0i32; 16]; ROWS];
        for group in 0..tile.groups {
            let b = tile.b.add(group * 32).cast::<[[i8; 2]; 16]>().read_unaligned();
            for (row, sums) in sums.iter_mut().enumerate() {
                let word = *tile.a.add(row * tile.a_stride + group);
                let (low, high) = ((word & 0xffff).cast_signed(), (word >> 16).cast_signed());
                for (sum, [first, second]) in sums.iter_mut().zip(b) {
                    *sum += low * i32::from(first) + high * i32::from(second);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            tile.c.add(row * 16).cast::<[i32; 16]>().write_unaligned(*sums);
        }
    }
}
