//! Weights in blocks: small whole numbers with factors that each block has of its own, as ggml (llama.cpp) defines them.
//!
//! A block is read in two steps. [`read`] takes the numbers of a block apart into one form for all types, and
//! [`BlockType::dequantize`] computes with it.

mod read;

use read::Unpacked;

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
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Numbers in a block.
    pub(crate) elements: usize,
    /// Bytes of a block.
    pub(crate) bytes: usize,
    /// Bits of a number.
    pub(crate) bits: usize,
    /// What stands for 0.
    pub(crate) zero: u8,
    /// Whether there are least numbers.
    pub(crate) min: bool,
    /// Numbers that have a factor.
    pub(crate) group: usize,
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

    pub(crate) const fn layout(self) -> Layout {
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
        Layout { elements, bytes, bits, zero, min, group }
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
