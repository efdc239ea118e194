//! NEON: tiles of 6 rows and 4 vectors of 4, 24 of 32 registers for sums.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

use std::arch::aarch64::*;

use half::bf16;

use super::{Simd, Weight};
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

    type Vector = float32x4_t;

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
