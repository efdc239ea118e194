//! Vectors of single precision, for each kind of processor.
//!
//! A kernel is written once over [`Simd`] and compiled for each instruction set; [`Isa`] chooses when the program runs.
//! What is inlined into a function with a target feature is compiled for it, so every kernel is `inline(always)`.

#![expect(unsafe_code, reason = "instructions that not every processor has, on memory that is not checked")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use std::sync::OnceLock;

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use plain::Plain;

use crate::blocks::panel;
use crate::blocks::tile::{BlockTile, Source};
use crate::tile::{IntegerTile, Tile};

/// The widest panel of packed weights of any instruction set.
pub(crate) const WIDEST_PANEL: usize = 32;

/// The most rows of a tile of any instruction set.
pub(crate) const TALLEST_TILE: usize = 12;

/// Vectors of one instruction set, and how large a tile of a product its registers hold.
///
/// # Safety
/// Its functions are called only where the processor has the instruction set, and with pointers to as many numbers as
/// they read or write.
pub(crate) trait Simd: Copy + 'static {
    /// Numbers in a vector.
    const LANES: usize;
    /// Columns of a tile, and so of a panel of packed weights.
    const PANEL: usize;
    /// The most rows of a tile.
    const ROWS: usize;
    /// Whether `a * b + c` is one instruction, rounded once.
    const FUSED: bool;
    /// Weights of one column that lie side by side in integer panels.
    const GROUP: usize;
    /// The most rows of a tile of integers.
    const INTEGER_ROWS: usize;
    /// The most rows of a tile of blocks.
    const BLOCK_ROWS: usize;
    /// Whether tiles of blocks take bytes cut in two.
    const HALVES: bool;

    type Vector: Copy;
    /// 64 bytes.
    type Line: Copy;

    unsafe fn splat(x: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn load_bf16(from: *const bf16) -> Self::Vector;
    unsafe fn store(to: *mut f32, x: Self::Vector);
    /// `a * b + c`
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// Computes a tile of `rows <= ROWS` rows and `PANEL` columns.
    unsafe fn tile<W: Weight>(rows: usize, tile: Tile<W>);
    /// The same for integers and `rows <= INTEGER_ROWS`.
    unsafe fn integer_tile(rows: usize, tile: IntegerTile);
    /// The same for blocks, a panel of 16 outputs, and `rows <= BLOCK_ROWS`.
    unsafe fn block_tile<B: Source>(rows: usize, tile: BlockTile);
    /// The bytes of a line.
    unsafe fn line(from: *const panel::Line) -> Self::Line;
    /// Some bits of each byte: `line >> shift & mask`, with a shift below 8 and nothing that comes from the next byte.
    unsafe fn part(line: Self::Line, shift: usize, mask: u8) -> Self::Line;
    /// `low | high << shift` of each byte, with `shift` of 2 or 4 and nothing that leaves the byte.
    unsafe fn join(low: Self::Line, high: Self::Line, shift: usize) -> Self::Line;

    /// Half precision as single precision.
    #[inline(always)]
    fn halves(from: &[[u8; 2]; 16]) -> [f32; 16] {
        let mut to = [0.0; 16];
        for (to, bytes) in to.iter_mut().zip(from) {
            *to = half_to_single(f16::from_le_bytes(*bytes));
        }
        to
    }
}

/// `f16::to_f32` asks the processor for each number; this is arithmetic alone, which becomes vector code.
#[inline(always)]
pub(crate) fn half_to_single(x: f16) -> f32 {
    let bits = u32::from(x.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    // Infinities and NaN keep all bits of their exponent set.
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16)
}

/// `a * b + c` for one number, as an instruction of `S` where it has one.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// A floating-point type that weights are packed in.
pub(crate) trait Weight: crate::aligned::Number {
    /// # Safety
    /// As for [`Simd::load`].
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector;
}
impl Weight for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe { S::load(from) }
    }
}
impl Weight for bf16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe { S::load_bf16(from) }
    }
}

/// An instruction set that kernels are compiled for, and that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Isa {
    /// Those that this processor has, the best first.
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<Isa>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let mut available = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::is_x86_feature_detected as has;
                let avx2 = has!("avx2") && has!("fma") && has!("f16c");
                let wide = has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq");
                if avx2 && wide && has!("avx512vnni") {
                    available.push(Self(Set::Avx512));
                }
                if avx2 {
                    available.push(Self(Set::Avx2));
                }
            }
            #[cfg(target_arch = "aarch64")]
            available.push(Self(Set::Neon));
            available.push(Self(Set::Plain));
            available
        })
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self(Set::Plain))
    }

    /// Its name, such as `avx2`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Plain => "plain",
        }
    }

    /// Columns of a panel of packed weights.
    pub(crate) fn panel(self) -> usize {
        self.run(Ask(|sizes: Sizes| sizes.panel))
    }

    /// The most rows of a tile.
    pub(crate) fn rows(self) -> usize {
        self.run(Ask(|sizes: Sizes| sizes.rows))
    }

    /// The most rows of a tile of blocks.
    pub(crate) fn block_rows(self) -> usize {
        self.run(Ask(|sizes: Sizes| sizes.block_rows))
    }

    /// Weights of one column side by side in an integer panel.
    pub(crate) fn group(self) -> usize {
        self.run(Ask(|sizes: Sizes| sizes.group))
    }

    /// Runs a kernel compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
            fn avx512<K: Kernel>(kernel: K) -> K::Output {
                kernel.run::<Avx512>()
            }
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2<K: Kernel>(kernel: K) -> K::Output {
                kernel.run::<Avx2>()
            }
            match self.0 {
                // SAFETY: a value of this kind comes from `available` alone, which asks the processor.
                Set::Avx512 => return unsafe { avx512(kernel) },
                // SAFETY: as above.
                Set::Avx2 => return unsafe { avx2(kernel) },
                Set::Plain => {}
            }
        }
        #[cfg(target_arch = "aarch64")]
        if self.0 == Set::Neon {
            return kernel.run::<Neon>();
        }
        kernel.run::<Plain>()
    }
}

/// A computation compiled for each instruction set; `run` must be `inline(always)`.
pub(crate) trait Kernel {
    type Output;

    fn run<S: Simd>(self) -> Self::Output;
}

#[derive(Clone, Copy)]
struct Sizes {
    panel: usize,
    rows: usize,
    group: usize,
    block_rows: usize,
}

/// Asks for the sizes of an instruction set's tiles.
struct Ask(fn(Sizes) -> usize);

impl Kernel for Ask {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self) -> usize {
        (self.0)(Sizes { panel: S::PANEL, rows: S::ROWS, group: S::GROUP, block_rows: S::BLOCK_ROWS })
    }
}
