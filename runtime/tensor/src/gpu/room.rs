//! Whether a model's weights fit a GPU, before any of them is uploaded.

use std::collections::HashSet;

use runtime_gpu::Gpu;
use runtime_graph::{DType, Dim, Graph, Node, Op};

use crate::{Error, Precision, StoredType, Weights};

/// Types that weights may be converted to, by the tenths of a bit that a number takes.
const SMALLER: [(&str, u64); 3] = [("bf16", 160), ("Q8_0", 85), ("Q4_K", 45)];
/// Of a byte.
const TENTHS: u64 = 80;

/// What a weight takes.
pub(crate) struct Size {
    pub(crate) numbers: u64,
    pub(crate) bytes: u64,
}

/// What the weight of a node takes of a GPU's memory.
///
/// # Errors
/// Where it is not there.
pub(crate) fn weight_size(name: &str, node: &Node, weights: &dyn Weights, precision: Precision) -> Result<Size, Error> {
    let sizes = node.shape.dims().iter().map(|dim| if let Dim::Fixed(size) = dim { u64::from(*size) } else { 0 });
    let numbers: u64 = sizes.product();
    let stored = weights.stored_type(name).map_err(|source| Error::Weight { name: name.to_owned(), source })?;
    let bytes = match stored {
        StoredType::Plain(DType::F32) if precision == Precision::Bf16 => numbers * 2,
        StoredType::Plain(dtype) => numbers * dtype.size() as u64,
        StoredType::Blocks(kind) => numbers / kind.elements() as u64 * kind.bytes() as u64,
    };
    Ok(Size { numbers, bytes })
}

/// # Errors
/// Where there is less memory, with what would fit.
pub(crate) fn check_room(graph: &Graph, weights: &dyn Weights, gpu: &Gpu, precision: Precision) -> Result<(), Error> {
    // What nobody holds any more is no reason to refuse.
    gpu.trim();
    let Some(memory) = gpu.adapter().memory else { return Ok(()) };
    let free = memory.saturating_sub(gpu.held());
    let (mut known, mut needs, mut numbers) = (HashSet::new(), 0u64, 0u64);
    for node in &graph.nodes {
        let Op::Weight { name } = &node.op else { continue };
        if known.insert(name) {
            let size = weight_size(name, node, weights, precision)?;
            needs += size.bytes;
            numbers += size.numbers;
        }
    }
    if needs <= free {
        return Ok(());
    }
    let smaller = SMALLER.iter().map(|(name, tenths)| (*name, numbers / TENTHS * tenths));
    let fits = smaller.into_iter().find(|(_, bytes)| *bytes < free.min(needs)).map(|(name, _)| name);
    Err(Error::TooSmall { adapter: gpu.adapter().name.clone(), needs, free, fits })
}
