//! Compiles a graph for a device and runs it on packed batches.
//!
//! A [`Batch`] is sequences laid end to end, never padded: operators that treat each row alone see a `[n, width]`
//! matrix, and only attention and pooling look at where sequences begin. [`compile`] turns a graph and its weights
//! into a [`Plan`]; a plan may be run from any thread. On the CPU a plan is fused steps over
//! the kernels of `runtime-kernels`, on a GPU the same steps over those of `runtime-gpu`.

mod adapter;
mod batch;
mod cache;
mod cost;
mod cpu;
mod error;
mod gpu;
mod lower;
mod placed;
mod plan;
mod stage;
mod wanted;
mod weights;

pub use adapter::{LowRank, LowRanks, PlanAdapter};
pub use batch::Batch;
pub use cache::{BLOCK, Cache, CacheFull, Cached};
pub use error::Error;
pub use runtime_kernels::{BlockType, Precision};

pub use placed::{Share, layers};
pub use plan::{Device, Matrix, Outputs, Place, Plan, Rows, compile, instruction_set};
pub use runtime_gpu::{Adapter as GpuAdapter, Error as GpuError, Gpu, Kind as GpuKind, adapters as gpus};

pub use wanted::{Greatest, Shortlist, Wanted};
pub use weights::{StoredTensor, StoredType, Weights};
