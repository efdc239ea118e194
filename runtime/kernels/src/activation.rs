//! Functions of one number, applied to many.

use crate::chunk::Chunk;
use crate::math;
use crate::simd::Simd;

/// A function that is applied to each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * (1 + erf(x / sqrt(2))) / 2`
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `x / (1 + exp(-x))`
    Silu,
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `log(1 + exp(x))`
    Softplus,
    /// `exp(x)`
    Exp,
}

/// Applies a function to each number.
#[inline(always)]
pub(crate) fn activate<S: Simd>(activation: Activation, x: Chunk) -> Chunk {
    match activation {
        Activation::Gelu => each(x, math::gelu::<S>),
        Activation::GeluTanh => each(x, math::gelu_tanh::<S>),
        Activation::Relu => each(x, |x| x.max(0.0)),
        Activation::Silu => each(x, |x| x * math::sigmoid::<S>(x)),
        Activation::Tanh => each(x, f32::tanh),
        Activation::Sigmoid => each(x, math::sigmoid::<S>),
        Activation::Softplus => each(x, math::softplus::<S>),
        Activation::Exp => each(x, math::exp::<S>),
    }
}

#[inline(always)]
fn each(mut x: Chunk, function: impl Fn(f32) -> f32) -> Chunk {
    for x in &mut x {
        *x = function(*x);
    }
    x
}
