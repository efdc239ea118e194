//! Kernels over slices of single precision, row by row where they can be, on the threads of the rayon pool.

mod activation;
mod attention;
mod math;
mod norm;
mod pool;
mod reduce;
mod rows;
mod simd;

pub(super) use activation::activate;
pub(super) use attention::Attention;
pub(super) use norm::layer_norm;
pub(super) use pool::pool;
pub(super) use rows::add_bias;
