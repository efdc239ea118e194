//! AVX-512: tiles of 12 rows and 2 vectors of 16, 24 of 32 registers for sums.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

use std::arch::x86_64::*;

use half::bf16;

use super::{Simd, Weight};
use crate::blocks::panel;
use crate::blocks::tile::{BlockTile, Source};
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
    const BLOCK_ROWS: usize = 8;
    const HALVES: bool = false;

    type Vector = __m512;
    type Line = __m512i;

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

    #[inline(always)]
    unsafe fn block_tile<B: Source>(rows: usize, tile: BlockTile) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, blocks::<B>, tile, 1 2 3 4 5 6 7 8) }
    }

    #[inline(always)]
    unsafe fn line(from: *const panel::Line) -> Self::Line {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn part(line: Self::Line, shift: usize, mask: u8) -> Self::Line {
        unsafe {
            let shifted = match shift {
                0 => line,
                1 => _mm512_srli_epi16::<1>(line),
                2 => _mm512_srli_epi16::<2>(line),
                3 => _mm512_srli_epi16::<3>(line),
                4 => _mm512_srli_epi16::<4>(line),
                5 => _mm512_srli_epi16::<5>(line),
                6 => _mm512_srli_epi16::<6>(line),
                _ => _mm512_srli_epi16::<7>(line),
            };
            _mm512_and_si512(shifted, _mm512_set1_epi8(mask.cast_signed()))
        }
    }

    #[inline(always)]
    unsafe fn join(low: Self::Line, high: Self::Line, shift: usize) -> Self::Line {
        unsafe {
            let high = if shift == 2 { _mm512_slli_epi16::<2>(high) } else { _mm512_slli_epi16::<4>(high) };
            _mm512_or_si512(low, high)
        }
    }

    #[inline(always)]
    fn halves(from: &[[u8; 2]; 16]) -> [f32; 16] {
        let mut to = [0.0; 16];
        unsafe {
            let halves = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(halves));
        }
        to
    }
}

/// Numbers without a sign times activations with one (`vpdpbusd`).
#[inline(always)]
unsafe fn blocks<B: Source, const ROWS: usize>(tile: BlockTile) {
    unsafe {
        let mut sums = [_mm512_setzero_ps(); ROWS];
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_loadu_ps(tile.c.add(row).cast());
        }
        for group in 0..tile.groups {
            let mut integers = [_mm512_setzero_si512(); ROWS];
            let a = tile.a.add(group * B::LINES);
            for line in 0..B::LINES {
                let weights = B::line::<Avx512>(tile.weights, group, line, false);
                for (row, integer) in integers.iter_mut().enumerate() {
                    let a = _mm512_set1_epi32((*a.add(row * tile.a_stride + line)).cast_signed());
                    *integer = _mm512_dpbusd_epi32(*integer, weights, a);
                }
            }
            let scales = _mm512_loadu_ps(tile.scales.add(group).cast());
            let mins = if B::MIN { _mm512_loadu_ps(tile.mins.add(group).cast()) } else { scales };
            for (row, (sum, mut integer)) in sums.iter_mut().zip(integers).enumerate() {
                let factors: *const f32 = tile.factors.add(row * tile.factors_stride + group).cast();
                let (scale, of_row) = (_mm512_set1_ps(*factors), _mm512_set1_ps(*factors.add(1)));
                if !B::MIN {
                    integer = _mm512_sub_epi32(integer, _mm512_castps_si512(of_row));
                }
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integer), _mm512_mul_ps(scale, scales), *sum);
                if B::MIN {
                    *sum = _mm512_fmadd_ps(mins, of_row, *sum);
                }
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            _mm512_storeu_ps(tile.c.add(row).cast(), *sum);
        }
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
