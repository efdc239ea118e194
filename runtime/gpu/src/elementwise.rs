//! Functions of each number, several of them in one kernel.

use runtime_kernels::Activation;

use crate::call::Call;
use crate::{Buffer, Recorder};

/// Threads of a workgroup.
const THREADS: usize = 128;

/// `activation(x) * scale * multiply + add`, each of them where it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elementwise<'a> {
    /// A function of each number.
    pub activation: Option<Activation>,
    /// One number.
    pub scale: Option<f32>,
    /// As many numbers as there are of `x`.
    pub multiply: Option<&'a Buffer>,
    /// As many numbers as there are of `x`.
    pub add: Option<&'a Buffer>,
}

impl Recorder {
    /// Fills `to` with what becomes of `count` numbers of `x`, which may be the same buffer.
    pub fn elementwise(&mut self, x: &Buffer, count: usize, chain: &Elementwise<'_>, to: &Buffer) {
        // Whole vectors, of which all buffers have a whole number.
        let operands = [Some(x), Some(to), chain.multiply, chain.add];
        operands.iter().flatten().for_each(|buffer| buffer.holds(count));
        let call = Call::new("elementwise").maybe("x", "vec4<f32>", (x.id() != to.id()).then_some(x));
        call.maybe("multiply", "vec4<f32>", chain.multiply)
            .maybe("add", "vec4<f32>", chain.add)
            .write("to", "vec4<f32>", to)
            .text("activation", chain.activation.map_or("", activation_name))
            .flag("scale", chain.scale.is_some())
            .float("factor", chain.scale.unwrap_or(1.0))
            .run_each(self, count.div_ceil(4), THREADS);
    }

    /// Fills `to [rows, width]` with each row of `x` times its number of `factors [rows]`.
    pub fn scale_rows(&mut self, x: &Buffer, factors: &Buffer, rows: usize, width: usize, to: &Buffer) {
        x.holds(rows * width);
        to.holds(rows * width);
        factors.holds(rows);
        Call::new("scale_rows")
            .read("x", "f32", x)
            .read("factors", "f32", factors)
            .write("to", "f32", to)
            .size("width", width)
            .run_each(self, rows * width, THREADS);
    }
}

/// Its name in the kernels.
pub(crate) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Softplus => "softplus",
        Activation::Exp => "exp",
    }
}
