//! What goes along the tokens of sequences: neighbours, convolutions, pooling.

use runtime_kernels::Pooling;

use crate::call::Call;
use crate::{Buffer, Recorder, Sequences};

/// Threads of a workgroup.
const THREADS: usize = 128;

/// A convolution in groups of columns.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// `[outputs, inputs / groups, size]`
    pub weight: &'a Buffer,
    /// `[outputs]`
    pub bias: Option<&'a Buffer>,
    /// Columns of `x`.
    pub inputs: usize,
    /// Columns of the result.
    pub outputs: usize,
    /// Groups of columns that are convolved apart.
    pub groups: usize,
    /// Tokens that it reaches over, an odd number.
    pub size: usize,
}

impl Recorder {
    /// Fills `to [n, size * width]` with each token's row of `x [n, width]` between those of its neighbours, nearest tokens
    /// nearest; zeros stand for what is outside of its sequence.
    pub fn neighbours(&mut self, sequences: &Sequences, x: &Buffer, width: usize, size: usize, to: &Buffer) {
        let rows = sequences.rows();
        x.holds(rows * width);
        to.holds(rows * size * width);
        Call::new("neighbours")
            .read("x", "f32", x)
            .read("sequences", "vec4<u32>", sequences.list())
            .read("row_sequences", "u32", sequences.of_rows())
            .write("to", "f32", to)
            .size("width", width)
            .size("size", size)
            .run_each(self, rows * size * width, THREADS);
    }

    /// Fills `to [n, outputs]` from `x [n, inputs]`.
    pub fn convolution(&mut self, sequences: &Sequences, x: &Buffer, convolution: &Convolution<'_>, to: &Buffer) {
        let (rows, Convolution { inputs, outputs, groups, size, .. }) = (sequences.rows(), *convolution);
        x.holds(rows * inputs);
        to.holds(rows * outputs);
        convolution.weight.holds(outputs * (inputs / groups) * size);
        Call::new("convolution")
            .read("x", "f32", x)
            .read("weight", "f32", convolution.weight)
            .maybe("bias", "f32", convolution.bias)
            .read("sequences", "vec4<u32>", sequences.list())
            .read("row_sequences", "u32", sequences.of_rows())
            .write("to", "f32", to)
            .size("inputs", inputs)
            .size("outputs", outputs)
            .size("convolved", groups)
            .size("size", size)
            .run_each(self, rows * outputs, THREADS);
    }

    /// Fills row `i` of `to [sequences, width]` from the rows of sequence `i` of `x`; a sequence without tokens gives zeros.
    pub fn pool(&mut self, sequences: &Sequences, pooling: Pooling, x: &Buffer, width: usize, to: &Buffer) {
        x.holds(sequences.rows() * width);
        to.holds(sequences.count() * width);
        let pooling = match pooling {
            Pooling::First => "first",
            Pooling::Last => "last",
            Pooling::Mean => "mean",
            Pooling::Max => "max",
        };
        Call::new("pool")
            .read("x", "f32", x)
            .read("sequences", "vec4<u32>", sequences.list())
            .write("to", "f32", to)
            .text("pooling", pooling)
            .size("width", width)
            .run_each(self, sequences.count() * width, THREADS);
    }
}
