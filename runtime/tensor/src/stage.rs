//! Plans that compute a part of a graph, one after the other.

use crate::cache::Memory;
use crate::lower::Products;
use crate::{Batch, Error, Matrix, Plan, Rows};

/// What of a part is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What is computed of texts.
    Texts,
    /// What is computed of their sources, up to what is kept of them.
    Sources,
}

/// A plan that may be one of several for a graph that was cut.
pub(crate) trait Stage: Plan {
    /// Computes what the part gives, in the order of its graph's outputs; `received` has what it takes from others. Whether
    /// the batch goes on from what is kept has been checked.
    fn run_part(
        &self,
        reading: Reading,
        batch: &Batch,
        received: &[&Matrix],
        memory: Option<&mut Memory>,
    ) -> Result<Vec<Rows>, Error>;

    /// What each product holds.
    fn products(&self) -> &Products;
}
