//! Whether a model's weights fit a GPU, before any of them is uploaded.

use std::collections::HashSet;

use runtime_graph::{DType, Dim, Graph, Node, Op};

use crate::{Device, Error, Precision, StoredType, Weights};

/// Types that weights may be converted to, by the tenths of a bit that a number takes.
const SMALLER: [(&str, u64); 3] = [("bf16", 160), ("Q8_0", 85), ("Q4_K", 45)];
/// Of a byte.
const TENTHS: u64 = 80;

/// What there is of a GPU's memory, and how it holds weights.
pub(crate) struct Room<'a> {
    /// The GPU's name.
    pub(crate) gpu: &'a str,
    /// Bytes that nothing else holds, where that is known.
    pub(crate) free: Option<u64>,
    /// Whether weights in halves are widened where single precision is asked for.
    pub(crate) widens: bool,
}

impl<'a> Room<'a> {
    /// That of a device; the processor's is taken to be without end, and is none.
    ///
    /// # Errors
    /// Where its driver fails.
    pub(crate) fn of(device: &'a Device) -> Result<Option<Self>, Error> {
        Ok(match device {
            Device::Cpu => None,
            Device::Gpu(gpu) => {
                // What nobody holds any more is no reason to refuse.
                gpu.trim();
                let free = gpu.adapter().memory.map(|memory| memory.saturating_sub(gpu.held()));
                Some(Self { gpu: &gpu.adapter().name, free, widens: false })
            }
            #[cfg(feature = "candle")]
            Device::Candle(device) => Some(Self { gpu: device.name(), free: device.free()?, widens: true }),
        })
    }
}

/// What a weight takes.
pub(crate) struct Size {
    pub(crate) numbers: u64,
    pub(crate) bytes: u64,
}

/// What the weight of a node takes of a GPU's memory; `widens` as for [`Room`].
///
/// # Errors
/// Where it is not there.
pub(crate) fn weight_size(
    name: &str,
    node: &Node,
    weights: &dyn Weights,
    precision: Precision,
    widens: bool,
) -> Result<Size, Error> {
    let sizes = node.shape.dims().iter().map(|dim| if let Dim::Fixed(size) = dim { u64::from(*size) } else { 0 });
    let numbers: u64 = sizes.product();
    let stored = weights.stored_type(name).map_err(|source| Error::Weight { name: name.to_owned(), source })?;
    let bytes = match stored {
        StoredType::Plain(DType::F32) if precision == Precision::Bf16 => numbers * 2,
        StoredType::Plain(_) if precision == Precision::F32 && widens => numbers * 4,
        StoredType::Plain(dtype) => numbers * dtype.size() as u64,
        StoredType::Blocks(kind) => numbers / kind.elements() as u64 * kind.bytes() as u64,
    };
    Ok(Size { numbers, bytes })
}

/// # Errors
/// Where a device has less memory, with what would fit.
pub(crate) fn check(graph: &Graph, weights: &dyn Weights, device: &Device, precision: Precision) -> Result<(), Error> {
    let Some(Room { gpu, free: Some(free), widens }) = Room::of(device)? else { return Ok(()) };
    let (mut known, mut needs, mut numbers) = (HashSet::new(), 0u64, 0u64);
    for node in &graph.nodes {
        let Op::Weight { name } = &node.op else { continue };
        if known.insert(name) {
            let size = weight_size(name, node, weights, precision, widens)?;
            needs += size.bytes;
            numbers += size.numbers;
        }
    }
    if needs <= free {
        return Ok(());
    }
    let smaller = SMALLER.iter().map(|(name, tenths)| (*name, numbers / TENTHS * tenths));
    let fits = smaller.into_iter().find(|(_, bytes)| *bytes < free.min(needs)).map(|(name, _)| name);
    Err(Error::TooSmall { adapter: gpu.to_owned(), needs, free, fits })
}
