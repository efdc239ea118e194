//! How rows in blocks are laid out for kernels.
//!
//! Blocks of ggml have odd numbers of bytes, and numbers in an order that suits processors. Here a row has planes of whole
//! words, one after the other: the low bits of all its numbers in their order, then the high bits where there are any, then
//! the factors. Nothing is rounded, and a row is at most 3 % longer than its blocks.

use runtime_kernels::{BlockLayout, BlockType, Factors, Unpacked};

/// Words that a plane is filled up to.
const ALIGNED: usize = 4;

/// The planes of rows of blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    kind: BlockType,
    layout: BlockLayout,
    /// Low bits of a number.
    pub(crate) low: usize,
    /// High bits of a number, 0 where it has none.
    pub(crate) high: usize,
    /// The word of a row at which high bits begin.
    pub(crate) high_at: usize,
    /// The word of a row at which factors begin.
    pub(crate) factors_at: usize,
    /// Words of a row.
    pub(crate) words: usize,
}

impl Planes {
    /// The planes of rows of `inputs` numbers.
    ///
    /// # Panics
    /// Where they are no whole blocks.
    pub(crate) fn new(kind: BlockType, inputs: usize) -> Self {
        let layout = kind.layout();
        assert!(inputs.is_multiple_of(layout.elements), "rows of {inputs} numbers are whole blocks");
        let (low, high) = match layout.bits {
            3 => (2, 1),
            5 => (4, 1),
            6 => (4, 2),
            bits => (bits, 0),
        };
        let plane = |bits: usize| (inputs * bits).div_ceil(32).next_multiple_of(ALIGNED);
        let high_at = plane(low);
        let factors_at = high_at + plane(high);
        let blocks = inputs / layout.elements;
        let factors = match layout.factors {
            Factors::None if layout.single || layout.min => blocks,
            Factors::None => blocks.div_ceil(2),
            Factors::Scale | Factors::ScaleAndMin | Factors::Halves => 5 * blocks,
        };
        let words = (factors_at + factors).next_multiple_of(ALIGNED);
        Self { kind, layout, low, high, high_at, factors_at, words }
    }

    /// What stands for 0.
    pub(crate) fn zero(&self) -> usize {
        usize::from(self.layout.zero)
    }

    /// Numbers that have a factor.
    pub(crate) fn group(&self) -> usize {
        self.layout.group
    }

    /// How factors are held, as the kernels call it.
    pub(crate) fn factors(&self) -> &'static str {
        match self.layout.factors {
            Factors::None if self.layout.single => "single",
            Factors::None if self.layout.min => "pair",
            Factors::None => "half",
            Factors::Scale => "scale",
            Factors::ScaleAndMin => "scale_and_min",
            Factors::Halves => "halves",
        }
    }

    /// Bytes of a row as files hold it.
    pub(crate) fn stored(&self, inputs: usize) -> usize {
        inputs / self.layout.elements * self.layout.bytes
    }

    /// Fills the zeroed words of a row. Returns a magnitude that none of its finite numbers is beyond.
    pub(crate) fn lay_out(&self, row: &[u8], to: &mut [u32]) -> f32 {
        let mut greatest = 0.0f32;
        let mut put = |at: usize, bits: usize, index: usize, value: u32| {
            to[at + index * bits / 32] |= value << (index * bits % 32);
        };
        for (number, bytes) in row.chunks_exact(self.layout.bytes).enumerate() {
            let block = Unpacked::read(self.kind, bytes);
            for (index, quant) in (number * self.layout.elements..).zip(&block.quants[..self.layout.elements]) {
                let quant = u32::from(*quant);
                put(0, self.low, index, quant & ((1 << self.low) - 1));
                if self.high > 0 {
                    put(self.high_at, self.high, index, quant >> self.low);
                }
            }
            greatest = greatest.max(Some(self.bound(&block)).filter(|bound| bound.is_finite()).unwrap_or(0.0));
            let scale = u32::from(half::f16::from_f32(block.scale).to_bits());
            let min = u32::from(half::f16::from_f32(block.min).to_bits());
            let groups = block
                .scales
                .iter()
                .zip(&block.mins)
                .map(|(scale, min)| (u32::from(scale.cast_unsigned()), u32::from(min.cast_unsigned())));
            let at = self.factors_at;
            match self.layout.factors {
                Factors::None if self.layout.single => put(at, 32, number, block.scale.to_bits()),
                Factors::None if self.layout.min => put(at, 32, number, scale | min << 16),
                Factors::None => put(at, 16, number, scale),
                Factors::Scale => {
                    put(at + 5 * number, 32, 0, scale);
                    groups.enumerate().for_each(|(group, (scale, _))| put(at + 5 * number + 1, 8, group, scale));
                }
                Factors::ScaleAndMin => {
                    put(at + 5 * number, 32, 0, scale | min << 16);
                    for (group, (scale, min)) in groups.take(8).enumerate() {
                        put(at + 5 * number + 1, 16, group, scale | min << 8);
                    }
                }
                Factors::Halves => {
                    put(at + 5 * number, 32, 0, scale | min << 16);
                    for (group, (scale, min)) in groups.enumerate() {
                        put(at + 5 * number + 1, 8, group, scale | min << 4);
                    }
                }
            }
        }
        greatest
    }

    /// A magnitude that no number of a block is beyond.
    fn bound(&self, block: &Unpacked) -> f32 {
        let most = |factors: &[i8]| f32::from(factors.iter().map(|factor| factor.unsigned_abs()).max().unwrap_or(0));
        let quant = f32::from(self.layout.zero.max(u8::MAX >> (8 - self.low - self.high)));
        (block.scale * most(&block.scales) * quant).abs() + (block.min * most(&block.mins)).abs()
    }
}
