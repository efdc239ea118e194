//! Compiles a graph for a device and runs it on packed batches.
//!
//! A [`Batch`] is sequences laid end to end, never padded: operators that treat each row alone see a `[n, width]`
//! matrix, and only attention and pooling look at where sequences begin. [`compile`] turns a graph and its weights
//! into a [`Plan`]; a plan may be run from any thread. The CPU backend stores tensors and multiplies matrices with
//! candle; the other kernels are in `cpu/kernels`. Devices, and candle itself, are named in this crate only.

mod batch;
mod cost;
mod cpu;
mod error;
mod plan;
mod weights;

pub use batch::Batch;
pub use error::Error;
pub use plan::{Device, Matrix, Outputs, Plan, compile};
pub use weights::{StoredTensor, Weights};
