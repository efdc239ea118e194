//! AVX2 with FMA: tiles of 6 rows and 2 vectors of 8, which leaves 4 of 16 registers for operands.

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
pub(crate) struct Avx2;

// SAFETY of all blocks: `Simd` is used only where the processor has these instructions, with pointers that are valid.
impl Simd for Avx2 {
    const LANES: usize = 8;
    const PANEL: usize = VECTORS * Self::LANES;
    const ROWS: usize = 6;
    const FUSED: bool = true;
    const GROUP: usize = 4;
    const INTEGER_ROWS: usize = 4;
    const BLOCK_ROWS: usize = 3;
    const HALVES: bool = true;

    type Vector = __m256;
    type Line = [__m256i; VECTORS];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Vector {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::Vector {
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::Vector) {
        unsafe { _mm256_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn tile<W: Weight>(rows: usize, tile: Tile<W>) {
        // SAFETY: the caller's promise.
        unsafe { by_rows!(rows, tile.compute::<Self, VECTORS>, 1 2 3 4 5 6) }
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
        unsafe {
            let from: *const __m256i = from.cast();
            [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))]
        }
    }

    #[inline(always)]
    unsafe fn part([first, second]: Self::Line, shift: usize, mask: u8) -> Self::Line {
        unsafe {
            let mask = _mm256_set1_epi8(mask.cast_signed());
            let part = |x| _mm256_and_si256(shifted(x, shift), mask);
            [part(first), part(second)]
        }
    }

    #[inline(always)]
    unsafe fn join(low: Self::Line, high: Self::Line, shift: usize) -> Self::Line {
        unsafe {
            let left = |x| if shift == 2 { _mm256_slli_epi16::<2>(x) } else { _mm256_slli_epi16::<4>(x) };
            [_mm256_or_si256(low[0], left(high[0])), _mm256_or_si256(low[1], left(high[1]))]
        }
    }

    #[inline(always)]
    fn halves(from: &[[u8; 2]; 16]) -> [f32; 16] {
        let mut to = [0.0; 16];
        unsafe {
            for part in 0..2 {
                let halves = _mm_loadu_si128(from.as_ptr().add(part * 8).cast());
                _mm256_storeu_ps(to.as_mut_ptr().add(part * 8), _mm256_cvtph_ps(halves));
            }
        }
        to
    }
}

/// Pairs of bytes shifted to the right, by a number that the compiler knows once it has unrolled the loop.
#[inline(always)]
unsafe fn shifted(x: __m256i, shift: usize) -> __m256i {
    unsafe {
        match shift {
            0 => x,
            1 => _mm256_srli_epi16::<1>(x),
            2 => _mm256_srli_epi16::<2>(x),
            3 => _mm256_srli_epi16::<3>(x),
            4 => _mm256_srli_epi16::<4>(x),
            5 => _mm256_srli_epi16::<5>(x),
            6 => _mm256_srli_epi16::<6>(x),
            _ => _mm256_srli_epi16::<7>(x),
        }
    }
}

/// Numbers without a sign times activations with one, in pairs (`vpmaddubsw`); as many lines are added up in 16 bits as
/// cannot overflow.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks<B: Source, const ROWS: usize>(tile: BlockTile) {
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = _mm256_loadu_ps(tile.c.add(row).cast::<f32>().add(vector * 8));
            }
        }
        for group in 0..tile.groups {
            let mut integers = products::<B, ROWS>(&tile, group, false);
            if B::BITS == 8 {
                let high = products::<B, ROWS>(&tile, group, true);
                for (sums, high) in integers.iter_mut().zip(high) {
                    for (sum, high) in sums.iter_mut().zip(high) {
                        *sum = _mm256_add_epi32(*sum, _mm256_slli_epi32::<4>(high));
                    }
                }
            }
            for row in 0..ROWS {
                let factors: *const f32 = tile.factors.add(row * tile.factors_stride + group).cast();
                let (scale, of_row) = (_mm256_set1_ps(*factors), _mm256_set1_ps(*factors.add(1)));
                for vector in 0..VECTORS {
                    let scales = _mm256_loadu_ps(tile.scales.add(group).cast::<f32>().add(vector * 8));
                    let mut integer = integers[row][vector];
                    if !B::MIN {
                        integer = _mm256_sub_epi32(integer, _mm256_castps_si256(of_row));
                    }
                    let sum = &mut sums[row][vector];
                    *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(integer), _mm256_mul_ps(scale, scales), *sum);
                    if B::MIN {
                        let mins = _mm256_loadu_ps(tile.mins.add(group).cast::<f32>().add(vector * 8));
                        *sum = _mm256_fmadd_ps(mins, of_row, *sum);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                _mm256_storeu_ps(tile.c.add(row).cast::<f32>().add(vector * 8), *sum);
            }
        }
    }
}

/// Lines of which the products of pairs, added up, stay below 2^15: activations are at most 127, so that these are eight
/// of numbers below 16, halves of bytes among them, four of those below 32, two of those below 64.
const fn span<B: Source>() -> usize {
    match B::BITS {
        5 => 4,
        6 => 2,
        _ => B::LINES,
    }
}

/// Does nothing, but has a value computed here: the compiler would load all lines first, for which there are no registers.
#[inline]
#[target_feature(enable = "avx2")]
fn here(mut x: __m256i) -> __m256i {
    unsafe { std::arch::asm!("/* {} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

/// The integer sums of a group.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn products<B: Source, const ROWS: usize>(
    tile: &BlockTile,
    group: usize,
    high: bool,
) -> [[__m256i; VECTORS]; ROWS] {
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let a = tile.a.add(group * B::LINES);
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
        for part in 0..B::LINES / span::<B>() {
            let mut pairs = [[_mm256_setzero_si256(); VECTORS]; ROWS];
            for line in part * span::<B>()..(part + 1) * span::<B>() {
                let weights = B::line::<Avx2>(tile.weights, group, line, high);
                for (row, pairs) in pairs.iter_mut().enumerate() {
                    let a = _mm256_set1_epi32((*a.add(row * tile.a_stride + line)).cast_signed());
                    for (pair, weights) in pairs.iter_mut().zip(weights) {
                        let products = _mm256_maddubs_epi16(weights, a);
                        *pair = if line == part * span::<B>() { products } else { _mm256_add_epi16(*pair, products) };
                        *pair = here(*pair);
                    }
                }
            }
            for (sums, pairs) in sums.iter_mut().zip(pairs) {
                for (sum, pairs) in sums.iter_mut().zip(pairs) {
                    let wide = _mm256_madd_epi16(pairs, ones);
                    *sum = if part == 0 { wide } else { _mm256_add_epi32(*sum, wide) };
                }
            }
        }
        sums
    }
}

/// Products of bytes in pairs (`vpmaddubsw`): activations and weights of 7 bits leave room in 16 bits for two pairs, so
/// that two groups are widened together. A function of its own, since its loop needs all 16 registers.
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn integers<const ROWS: usize>(tile: IntegerTile) {
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
        let weights = |group: usize| -> [__m256i; VECTORS] {
            std::array::from_fn(|vector| _mm256_loadu_si256(tile.b.add((group * VECTORS + vector) * 32).cast()))
        };
        let activations =
            |row: usize, group: usize| _mm256_set1_epi32((*tile.a.add(row * tile.a_stride + group)).cast_signed());
        for pair in 0..tile.groups / 2 {
            let (b, d) = (weights(2 * pair), weights(2 * pair + 1));
            for (row, sums) in sums.iter_mut().enumerate() {
                let (a, c) = (activations(row, 2 * pair), activations(row, 2 * pair + 1));
                for (sum, (b, d)) in sums.iter_mut().zip(b.into_iter().zip(d)) {
                    let pairs = _mm256_add_epi16(_mm256_maddubs_epi16(a, b), _mm256_maddubs_epi16(c, d));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        if tile.groups % 2 == 1 {
            let b = weights(tile.groups - 1);
            for (row, sums) in sums.iter_mut().enumerate() {
                let a = activations(row, tile.groups - 1);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                _mm256_storeu_si256(tile.c.add((row * VECTORS + vector) * 8).cast(), *sum);
            }
        }
    }
}
