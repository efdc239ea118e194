//! Weights in blocks: small whole numbers with factors that each block has of its own, as ggml (llama.cpp) defines them.
//!
//! [`read`] takes a block of any type apart into one form, from which [`BlockType::dequantize`] computes its numbers and
//! [`panel`] lays them out, without a loss, in the order in which products read them.

pub(crate) mod panel;
mod read;
pub(crate) mod tile;

pub use read::Unpacked;

/// A kind of block. What one holds, and in which order, is defined by `ggml-common.h` and `dequantize_row_*` of
/// `ggml-quants.c` (<https://github.com/ggml-org/llama.cpp>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "their names in ggml")]
pub enum BlockType {
    /// 32 numbers of 4 bits from -8 to 7.
    Q4_0,
    /// 32 numbers of 4 bits from 0 to 15, and a least number.
    Q4_1,
    /// 32 numbers of 5 bits from -16 to 15.
    Q5_0,
    /// 32 numbers of 5 bits from 0 to 31, and a least number.
    Q5_1,
    /// 32 bytes.
    Q8_0,
    /// 32 bytes, with their sum, which only activations need.
    Q8_1,
    /// 256 numbers of 2 bits; 16 at a time have a factor and a least number of 4 bits.
    Q2_K,
    /// 256 numbers of 3 bits; 16 at a time have a factor of 6 bits.
    Q3_K,
    /// 256 numbers of 4 bits; 32 at a time have a factor and a least number of 6 bits.
    Q4_K,
    /// 256 numbers of 5 bits; 32 at a time have a factor and a least number of 6 bits.
    Q5_K,
    /// 256 numbers of 6 bits; 16 at a time have a factor of 8 bits.
    Q6_K,
    /// 256 bytes, with sums, which only activations need.
    Q8_K,
}

/// What is common to all blocks: `(number - zero) scale scales[group] + min mins[group]`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Numbers in a block.
    pub elements: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// Bits of a number.
    pub bits: usize,
    /// What stands for 0.
    pub zero: u8,
    /// Whether there are least numbers.
    pub min: bool,
    /// Numbers that have a factor.
    pub group: usize,
    /// Whether the factor of the whole block is a single rather than a half.
    pub single: bool,
    /// How the factors of groups are held, where they are not those of the block.
    pub factors: Factors,
}

/// Factors of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// A block is one group, or its groups have no factors of their own.
    None,
    /// A byte with a sign.
    Scale,
    /// A byte, and another one for the least number.
    ScaleAndMin,
    /// A byte: the factor in the low half, that of the least number in the high half.
    Halves,
}

/// The most numbers of a block.
pub(crate) const LARGEST: usize = 256;

impl BlockType {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q8_1,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::Q8_K,
    ];

    /// What it has in common with the others.
    pub const fn layout(self) -> Layout {
        let (elements, bytes, bits, zero, min, group) = match self {
            Self::Q4_0 => (32, 18, 4, 8, false, 32),
            Self::Q4_1 => (32, 20, 4, 0, true, 32),
            Self::Q5_0 => (32, 22, 5, 16, false, 32),
            Self::Q5_1 => (32, 24, 5, 0, true, 32),
            Self::Q8_0 => (32, 34, 8, 128, false, 32),
            Self::Q8_1 => (32, 36, 8, 128, false, 32),
            Self::Q2_K => (LARGEST, 84, 2, 0, true, 16),
            Self::Q3_K => (LARGEST, 110, 3, 4, false, 16),
            Self::Q4_K => (LARGEST, 144, 4, 0, true, 32),
            Self::Q5_K => (LARGEST, 176, 5, 0, true, 32),
            Self::Q6_K => (LARGEST, 210, 6, 32, false, 16),
            Self::Q8_K => (LARGEST, 292, 8, 128, false, 32),
        };
        let factors = match self {
            Self::Q2_K => Factors::Halves,
            Self::Q3_K | Self::Q6_K => Factors::Scale,
            Self::Q4_K | Self::Q5_K => Factors::ScaleAndMin,
            _ => Factors::None,
        };
        Layout { elements, bytes, bits, zero, min, group, single: matches!(self, Self::Q8_K), factors }
    }

    /// Numbers in a block.
    pub const fn elements(self) -> usize {
        self.layout().elements
    }

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        self.layout().bytes
    }

    /// Its name in ggml, such as `Q4_K`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q8_1 => "Q8_1",
            Self::Q2_K => "Q2_K",
            Self::Q3_K => "Q3_K",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
            Self::Q8_K => "Q8_K",
        }
    }

    /// Fills `to` with the numbers of whole blocks, in single precision as ggml rounds them.
    pub fn dequantize(self, bytes: &[u8], to: &mut [f32]) {
        let layout = self.layout();
        assert_eq!(to.len() / layout.elements * layout.bytes, bytes.len(), "as many blocks as there are numbers for");
        assert_eq!(to.len() % layout.elements, 0, "whole blocks");
        for (block, to) in bytes.chunks_exact(layout.bytes).zip(to.chunks_exact_mut(layout.elements)) {
            Unpacked::read(self, block).dequantize(layout, to);
        }
    }
}

/// A type of block that is known when the program is compiled.
pub(crate) trait Blocks {
    const KIND: BlockType;
}

/// What is done for a type of block.
pub(crate) trait ForBlocks {
    type Output;

    fn run<K: Blocks>(self) -> Self::Output;
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        #[expect(non_camel_case_types, reason = "the names of the types")]
        mod kinds {
            $(
                pub(super) struct $kind;

                impl super::Blocks for $kind {
                    const KIND: super::BlockType = super::BlockType::$kind;
                }
            )*
        }

        impl BlockType {
            /// Runs what is compiled for each type.
            #[inline(always)]
            pub(crate) fn run<F: ForBlocks>(self, f: F) -> F::Output {
                match self {
                    $(Self::$kind => f.run::<kinds::$kind>(),)*
                }
            }
        }
    };
}

kinds!(Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K);
