//! AVX-512: tiles of 12 rows and 2 vectors of 16, 24 of 32 registers for sums.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

use std::arch::x86_64::*;

use half::bf16;

use super::{Simd, Weight};
use crate::tile::{IntegerTile, Tile, by_rows};

/// Vectors in a row of a tile.
const VECTORS: usize = 2;

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

// SAFETY of all blocks: `Simd` is used only where the processor has these instructions, with pointers that are valid.
impl Simd for Avx512 {
    const LANES: usize = 16;
    const PANEL: usize = VECTORS * Self::LANES;
    const ROWS: usize = 12;
    const FUSED: bool = true;
    const GROUP: usize = 4;
    const INTEGER_ROWS: usize = Self::ROWS;

    type Vector = __m512;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Vector {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::Vector {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::Vector) {
        unsafe { _mm512_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn tile<W: Weight>(rows: usize, tile: Tile<W>) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, tile.compute::<Self, VECTORS>, 1 2 3 4 5 6 7 8 9 10 11 12) }
    }

    #[inline(always)]
    unsafe fn integer_tile(rows: usize, tile: IntegerTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, integers, tile, 1 2 3 4 5 6 7 8 9 10 11 12) }
    }
}

/// Sums of four products of bytes (`vpdpbusd`), which are exact.
#[inline(always)]
unsafe fn integers<const ROWS: usize>(tile: IntegerTile) {
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
        for group in 0..tile.groups {
            let b: [__m512i; VECTORS] =
                std::array::from_fn(|vector| _mm512_loadu_si512(tile.b.add((group * VECTORS + vector) * 64).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let a = _mm512_set1_epi32((*tile.a.add(row * tile.a_stride + group)).cast_signed());
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = _mm512_dpbusd_epi32(*sum, a, b);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                _mm512_storeu_si512(tile.c.add((row * VECTORS + vector) * 16).cast(), *sum);
            }
        }
    }
}
