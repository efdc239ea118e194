//! Products by cooperative matrices: small matrices that the threads of a subgroup multiply together, in hardware.
//!
//! They take halves, and add up in single precision. What that costs is kept small, and nothing becomes infinite by it:
//!
//! - A row of activations is multiplied by the power of two that brings its greatest magnitude `m` to between 2^14 and 2^15,
//!   and its sums by the inverse, which is exact. A matrix in bf16 or in blocks is multiplied by one such power as a whole.
//! - Weights in f16 and bf16 are exact (those in bf16 down to 2^-31 of the matrix's greatest). Activations for them are two
//!   halves each, `x = high + rest`, both multiplied with the same weight: that takes twice the products, and leaves the error
//!   of an activation below 2^-20 |x| + 2^-28 m, so that results are those of single precision but for the last digits.
//! - Weights in blocks are rounded to halves once they are multiplied by their factors, and so are activations, each by at
//!   most 2^-10 of itself: less than the eight bits of an activation that the processor takes for blocks.
//! - Weights in single precision are never multiplied so, since halves would hold a third of their digits.
//!
//! These bounds hold for drivers that round towards zero, and take halves below 2^-14 for 0, as they may.

use crate::call::Call;
use crate::product::Shape;
use crate::{Buffer, Gpu, Recorder, Weight};

/// What rows in halves, and the parts of them that workgroups share, are filled up to.
pub(crate) const STEP: usize = 32;

/// Threads that bring a row into halves.
const THREADS: usize = 128;

/// Bytes of shared memory that the largest tile takes: 128 rows of two halves, 64 outputs, and four matrices of sums.
pub(crate) const SHARED_MEMORY: u32 = 2 * 128 * ROW + 64 * ROW + 4 * 16 * 16 * 4;

/// Bytes of a row there: the halves of a step, and 16 bytes against conflicts of banks.
const ROW: u32 = 80;

/// Cooperative matrices as an adapter has them. Software has some too, without any use for them: Mesa's computes by them at
/// half of the speed, so that they are not used there unless [`Gpu::open_with`](crate::Gpu::open_with) is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooperative {
    /// Rows and columns of a matrix: 8 or 16.
    pub side: usize,
    /// Threads of a subgroup, which are always as many.
    pub(crate) lanes: usize,
}

/// Activations as a product reads them.
pub(crate) enum Operand {
    /// In single precision.
    Single(Buffer),
    /// In halves.
    Halves(Halves),
}

/// Rows in halves, filled up with zeros.
pub(crate) struct Halves {
    numbers: Buffer,
    /// What a row's sums are multiplied by.
    scales: Buffer,
    /// Vectors of a row.
    fours: usize,
    /// Vectors of all rows.
    plane: usize,
    /// Halves that an activation is the sum of.
    terms: usize,
}

impl Operand {
    /// Binds it as `x`.
    pub(crate) fn bind<'a>(&'a self, call: Call<'a>, inputs: usize) -> Call<'a> {
        match self {
            Self::Single(x) => bind_single(call, x, inputs),
            Self::Halves(halves) => call
                .extensions(&["f16", "wgpu_cooperative_matrix"])
                .read("x", "vec4<f16>", &halves.numbers)
                .read("scales", "f32", &halves.scales)
                .number("terms", halves.terms)
                .size("inputs", inputs)
                .size("fours", halves.fours)
                .size("plane", halves.plane),
        }
    }
}

fn bind_single<'a>(call: Call<'a>, x: &'a Buffer, inputs: usize) -> Call<'a> {
    let vectors = inputs.is_multiple_of(4);
    call.flag("vectors", vectors).read("x", if vectors { "vec4<f32>" } else { "f32" }, x).size("inputs", inputs)
}

/// Vectors of so many rows.
fn vectors(weight: &Weight, rows: usize) -> usize {
    rows * (weight.inputs().next_multiple_of(STEP) / 4)
}

/// Whether a kernel could see so many rows in halves.
pub(crate) fn fits(gpu: &Gpu, weight: &Weight, rows: usize) -> bool {
    (8 * vectors(weight, rows) * weight.terms()) as u64 <= gpu.largest()
}

impl Recorder {
    /// The rows of `x [rows, inputs]` as a shape takes them. None where there is no memory for that, which is reported at the
    /// end.
    pub(crate) fn operand(&mut self, shape: Shape, x: &Buffer, rows: usize, weight: &Weight) -> Option<Operand> {
        match shape {
            Shape::Few { .. } | Shape::Many { .. } => Some(Operand::Single(x.clone())),
            Shape::Cooperative { rows: tile, .. } => self.halve(x, rows, weight, tile).map(Operand::Halves),
        }
    }

    /// Brings rows into halves for a product in tiles of `tile` rows.
    fn halve(&mut self, x: &Buffer, rows: usize, weight: &Weight, tile: usize) -> Option<Halves> {
        let (inputs, terms) = (weight.inputs(), weight.terms());
        let fours = vectors(weight, 1);
        // A tile may begin with any row, and reads as many as it could have.
        let plane = vectors(weight, rows + tile);
        let numbers = self.own_scratch(8 * plane * terms)?;
        let scales = self.own_scratch(4 * rows)?;
        bind_single(Call::new("halve"), x, inputs)
            .number("terms", terms)
            .number("threads", THREADS)
            .write("to", "vec2<u32>", &numbers)
            .write("scales", "f32", &scales)
            .size("fours", fours)
            .size("plane", plane)
            .run(self, rows);
        Some(Halves { numbers, scales, fours, plane, terms })
    }
}

/// The power of two that brings magnitudes of up to `greatest` to below 2^15, and its inverse, both normal numbers; what is
/// not finite counts for the greatest that is.
pub(crate) fn powers(greatest: f32) -> (f32, f32) {
    let exponent = (greatest.abs().to_bits() >> 23).clamp(15, 254);
    (f32::from_bits((268 - exponent) << 23), f32::from_bits((exponent - 14) << 23))
}

#[cfg(test)]
mod tests;
