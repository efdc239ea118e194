//! NEON: tiles of 6 rows and 4 vectors of 4, 24 of 32 registers for sums.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

use std::arch::aarch64::*;

use half::bf16;

use super::{Simd, Weight};
use crate::blocks::panel;
use crate::blocks::tile::{BlockTile, Source};
use crate::tile::{IntegerTile, Tile, by_rows};

/// Vectors in a row of a tile.
const VECTORS: usize = 4;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

// SAFETY of all blocks: `Simd` is used only where the processor has these instructions, with pointers that are valid.
impl Simd for Neon {
    const LANES: usize = 4;
    const PANEL: usize = VECTORS * Self::LANES;
    const ROWS: usize = 6;
    const FUSED: bool = true;
    const GROUP: usize = 2;
    const INTEGER_ROWS: usize = Self::ROWS;
    const BLOCK_ROWS: usize = 2;
    const HALVES: bool = true;

    type Vector = float32x4_t;
    type Line = [uint8x16_t; VECTORS];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Vector {
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::Vector {
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::Vector) {
        unsafe { vst1q_f32(to, x) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn tile<W: Weight>(rows: usize, tile: Tile<W>) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, tile.compute::<Self, VECTORS>, 1 2 3 4 5 6) }
    }

    #[inline(always)]
    unsafe fn integer_tile(rows: usize, tile: IntegerTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, integers, tile, 1 2 3 4 5 6) }
    }

    #[inline(always)]
    unsafe fn block_tile<B: Source>(rows: usize, tile: BlockTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, blocks::<B>, tile, 1 2) }
    }

    #[inline(always)]
    unsafe fn line(from: *const panel::Line) -> Self::Line {
        unsafe {
            let from: *const u8 = from.cast();
            [vld1q_u8(from), vld1q_u8(from.add(16)), vld1q_u8(from.add(32)), vld1q_u8(from.add(48))]
        }
    }

    #[inline(always)]
    unsafe fn part(mut line: Self::Line, shift: usize, mask: u8) -> Self::Line {
        unsafe {
            for x in &mut line {
                let shifted = match shift {
                    0 => *x,
                    1 => vshrq_n_u8::<1>(*x),
                    2 => vshrq_n_u8::<2>(*x),
                    3 => vshrq_n_u8::<3>(*x),
                    4 => vshrq_n_u8::<4>(*x),
                    5 => vshrq_n_u8::<5>(*x),
                    6 => vshrq_n_u8::<6>(*x),
                    _ => vshrq_n_u8::<7>(*x),
                };
                *x = vandq_u8(shifted, vdupq_n_u8(mask));
            }
            line
        }
    }

    #[inline(always)]
    unsafe fn join(mut low: Self::Line, high: Self::Line, shift: usize) -> Self::Line {
        unsafe {
            for (low, high) in low.iter_mut().zip(high) {
                *low = vorrq_u8(*low, if shift == 2 { vshlq_n_u8::<2>(high) } else { vshlq_n_u8::<4>(high) });
            }
            low
        }
    }
}

#[inline(always)]
unsafe fn blocks<B: Source, const ROWS: usize>(tile: BlockTile) {
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = vld1q_f32(tile.c.add(row).cast::<f32>().add(vector * 4));
            }
        }
        for group in 0..tile.groups {
            let mut integers = products::<B, ROWS>(&tile, group, false);
            if B::BITS == 8 {
                let high = products::<B, ROWS>(&tile, group, true);
                for (sums, high) in integers.iter_mut().zip(high) {
                    for (sum, high) in sums.iter_mut().zip(high) {
                        *sum = vaddq_s32(*sum, vshlq_n_s32::<4>(high));
                    }
                }
            }
            for row in 0..ROWS {
                let [scale, of_row] = *tile.factors.add(row * tile.factors_stride + group);
                for vector in 0..VECTORS {
                    let scales = vld1q_f32(tile.scales.add(group).cast::<f32>().add(vector * 4));
                    let mut integer = integers[row][vector];
                    if !B::MIN {
                        integer = vsubq_s32(integer, vdupq_n_s32(of_row.cast_signed()));
                    }
                    let sum = &mut sums[row][vector];
                    let scales = vmulq_f32(vdupq_n_f32(f32::from_bits(scale)), scales);
                    *sum = vfmaq_f32(*sum, vcvtq_f32_s32(integer), scales);
                    if B::MIN {
                        let mins = vld1q_f32(tile.mins.add(group).cast::<f32>().add(vector * 4));
                        *sum = vfmaq_f32(*sum, mins, vdupq_n_f32(f32::from_bits(of_row)));
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                vst1q_f32(tile.c.add(row).cast::<f32>().add(vector * 4), *sum);
            }
        }
    }
}

/// The integer sums of a group. A sum in 16 bits has one product of each line, so that all lines fit.
#[inline(always)]
unsafe fn products<B: Source, const ROWS: usize>(
    tile: &BlockTile,
    group: usize,
    high_halves: bool,
) -> [[int32x4_t; VECTORS]; ROWS] {
    unsafe {
        let a = tile.a.add(group * B::LINES);
        let mut low = [[vdupq_n_s16(0); VECTORS]; ROWS];
        let mut high = low;
        for line in 0..B::LINES {
            let weights = B::line::<Neon>(tile.weights, group, line, high_halves);
            for vector in 0..VECTORS {
                let weights = vreinterpretq_s8_u8(weights[vector]);
                for row in 0..ROWS {
                    let a = vreinterpretq_s8_u32(vdupq_n_u32(*a.add(row * tile.a_stride + line)));
                    low[row][vector] = vmlal_s8(low[row][vector], vget_low_s8(weights), vget_low_s8(a));
                    high[row][vector] = vmlal_high_s8(high[row][vector], weights, a);
                }
            }
        }
        let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for row in 0..ROWS {
            for vector in 0..VECTORS {
                sums[row][vector] = vpaddq_s32(vpaddlq_s16(low[row][vector]), vpaddlq_s16(high[row][vector]));
            }
        }
        sums
    }
}

/// Widens weights to 16 bits, multiplies, and adds neighbouring products.
#[inline(always)]
unsafe fn integers<const ROWS: usize>(tile: IntegerTile) {
    unsafe {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for group in 0..tile.groups {
            let b: [int16x8_t; VECTORS] =
                std::array::from_fn(|vector| vmovl_s8(vld1_s8(tile.b.add((group * VECTORS + vector) * 8))));
            for (row, sums) in sums.iter_mut().enumerate() {
                let a = vreinterpretq_s16_u32(vdupq_n_u32(*tile.a.add(row * tile.a_stride + group)));
                for (sum, b) in sums.iter_mut().zip(b) {
                    let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
                    let high = vmull_high_s16(a, b);
                    *sum = vaddq_s32(*sum, vpaddq_s32(low, high));
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                vst1q_s32(tile.c.add((row * VECTORS + vector) * 4), *sum);
            }
        }
    }
}
