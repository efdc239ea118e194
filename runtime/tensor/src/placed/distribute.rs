//! Which layers lie where, when nobody says so.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use runtime_graph::{Graph, Op};

use super::cut::cut;
use super::{Share, layers};
use crate::{Device, Error, Precision, Weights, gpu};

/// The parts into which free memory is divided.
const WHOLE: u64 = 1 << 20;

/// Those that weights may take of a GPU. The others are for keys and values, and for what runs compute with.
const MOST: u64 = WHOLE / 4 * 3;

/// Gives each device layers in their order. GPUs are filled evenly, each to the same share of its free memory; where that is
/// not enough for all, the processor has the others, if it is the last device. A device may get none.
///
/// # Errors
/// Where the graph has no layers, they do not fit, or it is not known how much memory a GPU has.
pub(super) fn distribute(
    graph: &Graph,
    weights: &dyn Weights,
    devices: &[Device],
    precision: Precision,
) -> Result<Vec<Share>, Error> {
    let count = layers(graph);
    if count == 0 {
        return Err(Error::Layers { from: 0, to: 0, has: 0 });
    }
    let layers = Layers::of(graph, weights, count, precision)?;
    let needs = layers.needs();
    let free = free(devices, needs)?;
    let gpus: Vec<u64> = free.iter().copied().filter(|free| *free < u64::MAX).collect();
    let holds_all = |ranges: &[Range<usize>]| ranges.last().is_some_and(|last| last.end == count);
    // The least share of the GPUs' memory that has room for all; what fits some share fits a greater one.
    let (mut least, mut most) = (0, MOST + 1);
    while least < most {
        let middle = u64::midpoint(least, most);
        if holds_all(&layers.fill(&gpus, middle)) { most = middle } else { least = middle + 1 }
    }
    let mut ranges = if least > MOST { layers.fill(&free, MOST) } else { layers.fill(&gpus, least) };
    if !holds_all(&ranges) {
        let free = gpus.iter().fold(0, |sum: u64, free| sum.saturating_add(*free));
        return Err(Error::NoRoom { needs, free });
    }
    ranges.resize(devices.len(), count..count);
    let shares = devices.iter().cloned().zip(ranges).map(|(device, layers)| Share { device, layers });
    Ok(shares.collect())
}

/// What nothing holds of each device's memory, in bytes. The processor's is taken to be without end; where nothing is known
/// of any, all have more than enough.
fn free(devices: &[Device], needs: u64) -> Result<Vec<u64>, Error> {
    let free = |device: &Device| match device {
        Device::Cpu => Ok(u64::MAX),
        Device::Gpu(gpu) => {
            gpu.trim();
            let adapter = gpu.adapter();
            let unknown = || Error::UnknownMemory { adapter: adapter.name.clone() };
            adapter.memory.map(|memory| memory.saturating_sub(gpu.held())).ok_or_else(unknown)
        }
    };
    let unknown = |device: &Device| matches!(device, Device::Gpu(gpu) if gpu.adapter().memory.is_none());
    match devices.iter().all(unknown) {
        true => Ok(vec![needs.saturating_mul(2); devices.len()]),
        false => devices.iter().map(free).collect(),
    }
}

/// The weights of each layer, by a number for each, with what they take of a GPU's memory; those before the first layer with
/// it, those of the head with the last.
struct Layers(Vec<Vec<(usize, u64)>>);

impl Layers {
    fn of(graph: &Graph, weights: &dyn Weights, count: usize, precision: Precision) -> Result<Self, Error> {
        let each: Vec<Range<usize>> = (0..count).map(|layer| layer..layer + 1).collect();
        let mut known = HashMap::new();
        let layer = |part: super::Part| {
            let mut own = HashMap::new();
            for node in &part.graph.nodes {
                let Op::Weight { name } = &node.op else { continue };
                let next = known.len();
                let number = *known.entry(name.clone()).or_insert(next);
                own.insert(number, gpu::weight_size(name, node, weights, precision)?.bytes);
            }
            Ok(own.into_iter().collect())
        };
        Ok(Self(cut(graph, &each).into_iter().map(layer).collect::<Result<_, Error>>()?))
    }

    /// Bytes of all weights.
    fn needs(&self) -> u64 {
        self.0.iter().flatten().copied().collect::<HashMap<_, _>>().into_values().sum()
    }

    /// As many layers for each memory as have room in so many parts of it, one memory after the other.
    fn fill(&self, free: &[u64], share: u64) -> Vec<Range<usize>> {
        let mut next = 0;
        let range = |free: &u64| {
            let most = match *free {
                u64::MAX => u64::MAX,
                free => u64::try_from(u128::from(free) * u128::from(share) / u128::from(WHOLE)).unwrap_or(free),
            };
            let (first, mut held, mut bytes) = (next, HashSet::new(), 0u64);
            while let Some(layer) = self.0.get(next) {
                let new: Vec<&(usize, u64)> = layer.iter().filter(|(weight, _)| !held.contains(weight)).collect();
                bytes = new.iter().fold(bytes, |sum, (_, bytes)| sum.saturating_add(*bytes));
                if bytes > most {
                    break;
                }
                held.extend(new.into_iter().map(|(weight, _)| *weight));
                next += 1;
            }
            first..next
        };
        free.iter().map(range).collect()
    }
}
