//! Compiles a graph for a device and runs it on packed batches.
//!
//! A [`Batch`] is sequences laid end to end, never padded: operators that treat each row alone see a `[n, width]`
//! matrix, and only attention and pooling look at where sequences begin. [`compile`] turns a graph and its weights
//! into a [`Plan`]; a plan may be run from any thread. On the CPU a plan is fused steps over
//! the kernels of `runtime-kernels`, on a GPU the same steps over those of `runtime-gpu`. With the feature `candle` there is
//! a third backend, over candle's tensors, which with `cuda` reaches GPUs of NVIDIA.

mod adapter;
mod batch;
mod cache;
#[cfg(feature = "candle")]
mod candle;
mod cost;
mod cpu;
mod cuda;
mod error;
mod gpu;
mod lower;
mod placed;
mod plan;
mod room;
mod stage;
mod wanted;
mod weights;

pub use adapter::{LowRank, LowRanks, PlanAdapter};
pub use batch::Batch;
pub use cache::{BLOCK, Cache, CacheFull, Cached};
#[cfg(feature = "candle")]
pub use candle::Candle;
pub use cuda::{CudaDevice, cuda_devices};
pub use error::Error;
pub use runtime_kernels::{BlockType, Precision};

pub use placed::{Share, layers};
pub use plan::{Device, Matrix, Outputs, Place, Plan, Rows, compile, instruction_set};
pub use runtime_gpu::{Adapter as GpuAdapter, Error as GpuError, Gpu, Kind as GpuKind, adapters as gpus};

pub use wanted::{Greatest, Shortlist, Wanted};
pub use weights::{StoredTensor, StoredType, Weights};
