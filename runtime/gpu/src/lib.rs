//! Kernels for GPUs, over Vulkan, Metal and DirectX 12: the counterpart of `runtime-kernels`.
//!
//! [`adapters`] lists what there is, [`Gpu::open`] opens one. A [`Gpu`] makes [`Buffer`]s and [`Weight`]s; a [`Recorder`]
//! records kernels over them, one method for each, and [`Recorder::finish`] submits all of them at once and reads back what
//! is asked for. Kernels are WGSL templates (`kernels/*.wgsl`), of which each variant is compiled when it is first needed.
//!
//! Activations are in single precision and row-major, as are all sums; products by cooperative matrices take them apart into
//! halves (`cooperative.rs`). Nothing here knows of graphs, models or batches.
//! Shapes are checked by whoever compiles a graph; here a buffer that is too small is a panic. What the GPU or its driver
//! does wrong is an [`Error`].

mod adapter;
mod attention;
mod blocks;
mod buffer;
mod caches;
mod call;
mod convolution;
mod cooperative;
mod correction;
mod elementwise;
mod error;
mod experts;
mod gpu;
mod kept;
mod norm;
mod product;
mod recorder;
mod recurrent;
mod rotary;
mod rows;
mod self_test;
mod sequences;
mod shader;
mod top;
mod weight;

/// Tokens in a block of what is kept.
pub use runtime_kernels::{Activation, BLOCK, Pooling};

pub use adapter::{Adapter, Capabilities, Kind, adapters};
pub use attention::{Attention, Relative};
pub use buffer::{Buffer, Columns};
pub use convolution::Convolution;
pub use cooperative::Cooperative;
pub use correction::Correction;
pub use elementwise::Elementwise;
pub use error::Error;
pub use experts::Routing;
pub use gpu::Gpu;
pub use kept::{CacheType, Kept};
pub use norm::Norm;
pub use product::Finish;
pub use recorder::{Read, Recorder, Results};
pub use recurrent::{CausalConvolution, KeptStates, Scanned, SelectiveScan};
pub use rotary::Rotary;
pub use sequences::{Sequence, Sequences};
pub use top::{MOST_LISTED, log_sum_exp, summed_parts};
pub use weight::{Precision, Stored, Weight};
