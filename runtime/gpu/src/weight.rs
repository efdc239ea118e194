//! Matrices that products and look-ups read.

use rayon::prelude::*;
use runtime_kernels::BlockType;

use crate::blocks::Planes;
use crate::call::Call;
use crate::cooperative::powers;
use crate::{Buffer, Error, Gpu};

/// The bits of what is infinite in bf16.
const INFINITE: u16 = 0x7f80;

/// How the numbers of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    Bf16,
    /// Blocks, in which they stay.
    Blocks(BlockType),
}

/// What a matrix is held in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// What it is stored in.
    #[default]
    AsStored,
    /// IEEE half precision where it is stored in single precision, which rounds its numbers; else as it is stored.
    Half,
}

/// A matrix `[outputs, inputs]` on a GPU, or several stacked on each other. A copy is the same memory.
#[derive(Clone, Debug)]
pub struct Weight {
    outputs: usize,
    inputs: usize,
    format: Format,
    /// What brings its numbers into the range of halves, a power of two, and what undoes it.
    powers: (f32, f32),
    /// In order; one is as large as a kernel may see at once.
    pub(crate) slabs: Vec<Slab>,
}

/// Some rows.
#[derive(Clone, Debug)]
pub(crate) struct Slab {
    /// The first of them.
    pub(crate) first: usize,
    /// How many.
    pub(crate) rows: usize,
    pub(crate) buffer: Buffer,
}

/// How a kernel reads a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Four numbers at a time.
    Fours,
    /// As many as 16 bytes have.
    Chunks,
    /// As halves, which are in range once they are multiplied by a power of two.
    Halves,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    F32,
    F16,
    Bf16,
    Blocks(Planes),
}

impl Weight {
    /// A matrix from its rows of `inputs` numbers, which come one after the other in `pieces`.
    ///
    /// # Errors
    /// Where there is no memory for it, or a row is larger than a buffer may be.
    pub fn new(
        gpu: &Gpu,
        stored: Stored,
        inputs: usize,
        pieces: &[&[u8]],
        precision: Precision,
    ) -> Result<Self, Error> {
        let halve = stored == Stored::F32 && precision == Precision::Half;
        let (format, row) = match stored {
            Stored::F32 if halve => (Format::F16, 4 * inputs),
            Stored::F32 => (Format::F32, 4 * inputs),
            Stored::F16 => (Format::F16, 2 * inputs),
            Stored::Bf16 => (Format::Bf16, 2 * inputs),
            Stored::Blocks(kind) => {
                let planes = Planes::new(kind, inputs);
                (Format::Blocks(planes), planes.stored(inputs))
            }
        };
        assert!(pieces.iter().all(|piece| piece.len().is_multiple_of(row.max(1))), "pieces are whole rows");
        let all: Vec<&[u8]> = pieces.iter().flat_map(|piece| piece.chunks_exact(row.max(1))).collect();
        let words = format.words(inputs);
        let most = usize::try_from(gpu.largest()).unwrap_or(usize::MAX) / (4 * words.max(1));
        let (mut slabs, mut greatest) = (Vec::new(), 0.0f32);
        for (number, rows) in all.chunks(most.max(1)).enumerate() {
            let mut bytes = vec![0u8; 4 * words * rows.len()];
            // The greatest finite magnitude of a row, or more, where halves may not have room for it.
            let of_rows = bytes.par_chunks_exact_mut(4 * words).zip(rows).map(|(to, row)| match format {
                Format::F16 if halve => {
                    for (to, x) in to.as_chunks_mut::<2>().0.iter_mut().zip(row.as_chunks().0) {
                        *to = half::f16::from_f32(f32::from_le_bytes(*x)).to_le_bytes();
                    }
                    0.0
                }
                Format::F32 | Format::F16 => {
                    to[..row.len()].copy_from_slice(row);
                    0.0
                }
                Format::Bf16 => {
                    to[..row.len()].copy_from_slice(row);
                    let magnitudes = row.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes) & 0x7fff);
                    half::bf16::from_bits(magnitudes.filter(|bits| *bits < INFINITE).max().unwrap_or(0)).to_f32()
                }
                Format::Blocks(planes) => {
                    let mut laid_out = vec![0u32; words];
                    let greatest = planes.lay_out(row, &mut laid_out);
                    for (to, word) in to.as_chunks_mut().0.iter_mut().zip(laid_out) {
                        *to = word.to_le_bytes();
                    }
                    greatest
                }
            });
            greatest = of_rows.reduce(|| greatest, f32::max);
            slabs.push(Slab { first: number * most.max(1), rows: rows.len(), buffer: gpu.upload(&bytes)? });
        }
        let powers = match format {
            Format::F32 | Format::F16 => (1.0, 1.0),
            Format::Bf16 | Format::Blocks(_) => powers(greatest),
        };
        Ok(Self { outputs: all.len(), inputs, format, powers, slabs })
    }

    /// Rows.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers in a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes that it takes on the GPU.
    pub fn bytes(&self) -> u64 {
        self.slabs.iter().map(|slab| slab.buffer.bytes()).sum()
    }

    /// Numbers of a row that a thread of a product with few rows takes at a time: those of 16 bytes.
    pub(crate) fn chunk(&self) -> usize {
        match self.format {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 8,
            Format::Blocks(planes) if planes.low == 8 => 16,
            Format::Blocks(_) => 32,
        }
    }

    /// Whether products by cooperative matrices take it: halves hold its numbers, or nearly so.
    pub(crate) fn halves(&self) -> bool {
        !matches!(self.format, Format::F32)
    }

    /// Halves that activations are taken as the sum of in such a product: as many as are worth it.
    pub(crate) fn terms(&self) -> usize {
        if matches!(self.format, Format::Blocks(_)) { 1 } else { 2 }
    }

    /// Binds some rows as `w`, with the constants and parameters of `weight.wgsl` and what else a reading needs.
    pub(crate) fn bind<'a>(&self, call: Call<'a>, slab: &'a Slab, reading: Reading) -> Call<'a> {
        let (name, element) = match self.format {
            Format::F32 => ("f32", "vec4<f32>"),
            Format::F16 if reading == Reading::Halves => ("f16", "vec4<f16>"),
            Format::F16 => ("f16", "vec2<u32>"),
            Format::Bf16 => ("bf16", "vec2<u32>"),
            Format::Blocks(_) => ("blocks", "u32"),
        };
        let call = call.text("format", name).read("w", element, &slab.buffer).number("chunk", self.chunk());
        let call = match reading {
            // The same memory by 16 bytes, where a kernel reads more at once than it takes apart.
            Reading::Chunks if !matches!(self.format, Format::F32) => {
                call.read("vectors_of_w", "vec4<u32>", &slab.buffer)
            }
            Reading::Fours | Reading::Chunks => call,
            Reading::Halves => call.float("weight_scale", self.powers.0).float("weight_unscale", self.powers.1),
        };
        let words = self.format.words(self.inputs);
        match self.format {
            Format::F32 => call.size("weight_row", words / 4),
            Format::F16 | Format::Bf16 => call.size("weight_row", words / 2),
            Format::Blocks(planes) => call
                .number("low", planes.low)
                .number("high", planes.high)
                .number("zero", planes.zero())
                .number("group", planes.group())
                .text("factors", planes.factors())
                .size("weight_row", words)
                .size("high_at", planes.high_at)
                .size("factors_at", planes.factors_at),
        }
    }
}

impl Format {
    /// Words of a row, filled up to whole vectors.
    fn words(self, inputs: usize) -> usize {
        match self {
            Self::F32 => inputs.next_multiple_of(4),
            Self::F16 | Self::Bf16 => inputs.next_multiple_of(8) / 2,
            Self::Blocks(planes) => planes.words,
        }
    }
}
