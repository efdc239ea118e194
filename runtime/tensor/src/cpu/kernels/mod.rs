//! Kernels over slices of single precision, row by row where they can be, on the threads of the rayon pool.

mod activation;
mod attention;
mod convolution;
mod math;
mod norm;
mod pool;
mod reduce;
mod rotary;
mod rows;
mod simd;

pub(super) use activation::activate;
pub(super) use attention::Attention;
pub(super) use convolution::Convolution;
pub(super) use norm::{layer_norm, rms_norm};
pub(super) use pool::pool;
pub(super) use rotary::rotary;
pub(super) use rows::add_bias;
