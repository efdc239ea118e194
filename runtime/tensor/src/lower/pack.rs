//! Weights of products, on their way to a device.

use runtime_graph::DType;
use runtime_kernels::BlockType;

use crate::{Error, Precision};

/// Brings weights into the form in which a device multiplies with them.
pub(crate) trait Pack {
    /// That form, of a matrix `[outputs, inputs]`.
    type Packed;

    /// Whether tables are looked up in the same form.
    const TABLES: bool;

    /// Whether the matrices of all experts are one, below each other.
    const STACKS: bool;

    /// Rows of `inputs` numbers, one part below the other.
    ///
    /// # Errors
    /// Where the device has no room.
    fn numbers(&self, precision: Precision, inputs: usize, parts: &[Part<'_>]) -> Result<Self::Packed, Error>;

    /// Rows in blocks of one type, one part below the other.
    ///
    /// # Errors
    /// Where the device has no room, or does not know the type.
    fn blocks(&self, kind: BlockType, inputs: usize, parts: &[&[u8]]) -> Result<Self::Packed, Error>;
}

/// Whole rows of a matrix.
pub(crate) enum Part<'a> {
    /// Computed from weights.
    Computed(&'a [f32]),
    /// As they are stored.
    Stored(DType, &'a [u8]),
}
