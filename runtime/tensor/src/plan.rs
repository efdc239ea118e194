//! The interface of a compiled graph.

use std::sync::Arc;

use runtime_gpu::Gpu;
use runtime_graph::Graph;

use crate::placed::{self, Share};
use crate::stage::Stage;
use crate::{Batch, Cache, Error, LowRanks, PlanAdapter, Precision, Shortlist, Weights, cost, cpu, gpu};

/// Where a plan runs.
#[derive(Clone, Debug, Default)]
pub enum Device {
    /// The processor, on the threads of the global rayon pool.
    #[default]
    Cpu,
    /// A GPU that is open.
    Gpu(Gpu),
    /// A GPU of NVIDIA that is open, or the processor through the same code.
    #[cfg(feature = "candle")]
    Candle(crate::Candle),
}

/// What the kernels of the processor are compiled for here, such as `AVX2`.
pub fn instruction_set() -> &'static str {
    runtime_kernels::Isa::best().name()
}

/// A result: `rows` times `width` numbers, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// How many rows there are: `n`, `s` or `r` of the batch.
    pub rows: usize,
    /// Numbers in a row.
    pub width: usize,
    /// The numbers.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Row `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.width..(index + 1) * self.width]
    }
}

/// A result of which no more was computed than was wanted of each row that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The rows that are whole, in order.
    pub whole: Matrix,
    /// For each row that was asked for its shortlist, or `None` where it is among the whole ones; nothing where all are.
    pub shortlists: Vec<Option<Shortlist>>,
}

/// The named results of one run, in the order of the graph's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs(Vec<(String, Rows)>);

impl Outputs {
    /// Results by name, all of whose rows are whole.
    pub fn new(results: Vec<(String, Matrix)>) -> Self {
        Self(results.into_iter().map(|(name, whole)| (name, Rows { whole, shortlists: Vec::new() })).collect())
    }

    /// Results by name.
    pub(crate) fn of_rows(results: Vec<(String, Rows)>) -> Self {
        Self(results)
    }

    /// The result called `name`: all of its rows, or those that are whole.
    pub fn get(&self, name: &str) -> Option<&Matrix> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, rows)| &rows.whole)
    }

    /// The result called `name` as [`Self::get`], without a copy.
    pub fn into_result(self, name: &str) -> Option<Matrix> {
        self.into_rows(name).map(|rows| rows.whole)
    }

    /// The result called `name`, what there is of each row.
    pub fn into_rows(self, name: &str) -> Option<Rows> {
        self.0.into_iter().find(|(known, _)| known == name).map(|(_, rows)| rows)
    }
}

/// A graph compiled for a device, with its weights in place.
pub trait Plan: Send + Sync {
    /// Computes the graph's outputs for a batch. The result for a sequence is the same, bit for bit, in any batch, but for
    /// whether it is [whole](Rows), where only a part of a row is wanted.
    ///
    /// # Errors
    /// Where a sequence is too long, a token is outside the vocabulary, the model reads sources, or the backend fails.
    fn run(&self, batch: &Batch) -> Result<Outputs, Error>;

    /// A cache of at most `blocks` blocks for the keys and values of this plan.
    ///
    /// # Errors
    /// Where what is computed of a token depends on those behind it.
    fn cache(&self, blocks: usize) -> Result<Cache, Error>;

    /// Reads sources, and keeps in `cache` what texts attend to of them. Each sequence is the whole of one
    /// ([`Batch::push_after`] nothing), for which there is room.
    ///
    /// # Errors
    /// As for [`Self::run`], or where the model reads no sources.
    fn read_sources(&self, _batch: &Batch, _cache: &mut Cache) -> Result<(), Error> {
        Err(Error::NoSources)
    }

    /// Computes the outputs for tokens that follow those kept in `cache`, and keeps theirs. The results are the same, bit
    /// for bit, however a sequence is cut into runs.
    ///
    /// # Errors
    /// As for [`Self::run`], or where the batch has sequences without a past, without a source that the model needs, or that
    /// were shortened though the plan does not [rewind](Self::rewinds).
    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error>;

    /// Whether a sequence can go on behind any of its tokens once it is [shortened](crate::Cached::truncate). One whose graph
    /// has operators with a state can only do so from whole blocks.
    fn rewinds(&self) -> bool {
        true
    }

    /// Brings an adapter into the form in which [`Batch::adapt`] has sequences computed with it. The weights stay as they
    /// are, and any number of adapters may be in a batch.
    ///
    /// # Errors
    /// Where it changes what is no weight of a product of its own, or its sizes are others.
    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error>;

    /// Whether its device is still there.
    fn is_usable(&self) -> bool {
        true
    }

    /// Which layers lie where, if it is a plan for several devices.
    fn shares(&self) -> Vec<Share> {
        Vec::new()
    }
}

/// Where a graph is computed.
#[derive(Clone, Debug)]
pub enum Place {
    /// All of it on one device.
    On(Device),
    /// Its layers on several devices in turn: GPUs are filled evenly, each to the same share of its free memory, and what is
    /// then left is for the processor, if it is the last device.
    InTurn(Vec<Device>),
    /// Its layers where it is said.
    Shares(Vec<Share>),
}

impl From<Device> for Place {
    fn from(device: Device) -> Self {
        Self::On(device)
    }
}

/// Compiles `graph` for a [`Device`] or a [`Place`], reading each of its weights once for each device. `precision` is that of
/// the weights of products; tables stay as they are stored, and products of pooled rows or with fewer than 64 inputs or
/// outputs in single precision.
///
/// # Errors
/// Where a weight cannot be read, running the graph would cost far more than its weights suggest, or its layers do not go
/// where they are to.
pub fn compile(
    graph: &Graph,
    weights: &dyn Weights,
    place: impl Into<Place>,
    precision: Precision,
) -> Result<Arc<dyn Plan>, Error> {
    cost::check(graph)?;
    match place.into() {
        Place::On(device) => Ok(compile_part(graph, weights, device, precision)?),
        Place::InTurn(devices) => placed::compile_in_turn(graph, weights, &devices, precision),
        Place::Shares(shares) => placed::compile_shares(graph, weights, shares, precision),
    }
}

/// Compiles a graph, or a part of one, for a device.
pub(crate) fn compile_part(
    graph: &Graph,
    weights: &dyn Weights,
    device: Device,
    precision: Precision,
) -> Result<Arc<dyn Stage>, Error> {
    match device {
        Device::Cpu => Ok(Arc::new(cpu::CpuPlan::compile(graph, weights, precision)?)),
        Device::Gpu(gpu) => Ok(Arc::new(gpu::GpuPlan::compile(graph, weights, gpu, precision)?)),
        #[cfg(feature = "candle")]
        Device::Candle(device) => Ok(Arc::new(crate::candle::CandlePlan::compile(graph, weights, device, precision)?)),
    }
}
