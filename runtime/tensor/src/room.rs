//! Whether a model's weights fit a GPU, before any of them is uploaded.

use std::collections::HashSet;

use runtime_graph::{DType, Dim, Graph, Op};

use crate::{Error, Precision, StoredType, Weights};

/// Types that weights may be converted to, by the tenths of a bit that a number takes.
const SMALLER: [(&str, u64); 3] = [("bf16", 160), ("Q8_0", 85), ("Q4_K", 45)];
/// Of a byte.
const TENTHS: u64 = 80;

/// What there is of a GPU's memory, and how it holds weights.
pub(crate) struct Room<'a> {
    /// The GPU's name.
    pub(crate) gpu: &'a str,
    /// Bytes that nothing else holds.
    pub(crate) free: u64,
    /// Whether weights in halves are widened where single precision is asked for.
    pub(crate) widens: bool,
}

/// # Errors
/// Where there is less memory, with what would fit.
pub(crate) fn check(graph: &Graph, weights: &dyn Weights, room: &Room<'_>, precision: Precision) -> Result<(), Error> {
    let Room { gpu, free, widens } = *room;
    let (mut known, mut needs, mut numbers) = (HashSet::new(), 0u64, 0u64);
    for node in &graph.nodes {
        let Op::Weight { name } = &node.op else { continue };
        if !known.insert(name) {
            continue;
        }
        let sizes = node.shape.dims().iter().map(|dim| if let Dim::Fixed(size) = dim { u64::from(*size) } else { 0 });
        let count: u64 = sizes.product();
        let stored = weights.stored_type(name).map_err(|source| Error::Weight { name: name.clone(), source })?;
        numbers += count;
        needs += match stored {
            StoredType::Plain(DType::F32) if precision == Precision::Bf16 => count * 2,
            StoredType::Plain(_) if precision == Precision::F32 && widens => count * 4,
            StoredType::Plain(dtype) => count * dtype.size() as u64,
            StoredType::Blocks(kind) => count / kind.elements() as u64 * kind.bytes() as u64,
        };
    }
    if needs <= free {
        return Ok(());
    }
    let smaller = SMALLER.iter().map(|(name, tenths)| (*name, numbers / TENTHS * tenths));
    let fits = smaller.into_iter().find(|(_, bytes)| *bytes < free.min(needs)).map(|(name, _)| name);
    Err(Error::TooSmall { adapter: gpu.to_owned(), needs, free, fits })
}
