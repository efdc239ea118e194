//! Functions applied to each element.

use rayon::prelude::*;
use runtime_graph::Activation;

use super::math;
use super::simd::widest;

/// Elements in a task.
const CHUNK: usize = 1 << 13;

/// `to[i] = activation(x[i])`
pub(crate) fn activate(activation: Activation, x: &[f32], to: &mut [f32]) {
    match activation {
        Activation::Gelu => each(x, to, math::gelu),
        Activation::GeluTanh => each(x, to, math::gelu_tanh),
        Activation::Relu => each(x, to, |x| x.max(0.0)),
        Activation::Silu => each(x, to, |x| x * math::sigmoid(x)),
        Activation::Tanh => each(x, to, f32::tanh),
        Activation::Sigmoid => each(x, to, math::sigmoid),
    }
}

fn each(x: &[f32], to: &mut [f32], function: impl Fn(f32) -> f32 + Sync) {
    to.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(to, x)| {
        widest(|| {
            for (to, x) in to.iter_mut().zip(x) {
                *to = function(*x);
            }
        });
    });
}
