//! Operators whose result for a token depends on a state behind the token before it, and the states that are kept.

use runtime_kernels::BLOCK;

use crate::call::Call;
use crate::{Buffer, Columns, Error, Gpu, Recorder, Sequences};

/// Threads of a workgroup.
const THREADS: usize = 64;

/// States of a column that a thread has in registers, at most.
const TOGETHER: usize = 16;

/// The states of one operator: each block of [`BLOCK`] tokens has the one behind the last of its tokens that there is.
#[derive(Clone, Debug)]
pub struct KeptStates {
    buffer: Buffer,
    numbers: usize,
    blocks: usize,
}

impl KeptStates {
    /// Room for so many blocks, for a state of so many numbers.
    ///
    /// # Errors
    /// Where that is more than a buffer may have, or than there is memory for.
    pub fn new(gpu: &Gpu, blocks: usize, numbers: usize) -> Result<Self, Error> {
        Ok(Self { buffer: gpu.empty(blocks * Self::block_bytes(numbers))?, numbers, blocks })
    }

    /// Bytes of a block: whole vectors, so that blocks can be copied by them.
    pub fn block_bytes(numbers: usize) -> usize {
        16 * numbers.div_ceil(4)
    }

    /// Takes over the blocks of another with no more room, for states as long.
    ///
    /// # Errors
    /// Where the GPU is lost.
    pub fn fill_from(&self, gpu: &Gpu, other: &Self) -> Result<(), Error> {
        assert!(self.numbers == other.numbers && other.blocks <= self.blocks, "room for what is taken over");
        gpu.copy(&other.buffer, &self.buffer)
    }

    /// Numbers between the states of two blocks.
    fn stride(&self) -> usize {
        Self::block_bytes(self.numbers) / 4
    }

    fn check(&self, sequences: &Sequences, numbers: usize) {
        assert_eq!(self.numbers, numbers, "states of this operator");
        assert!(sequences.roomy(), "blocks for what is kept and what is added");
        assert!(sequences.blocks_below(self.blocks), "blocks that there are");
    }
}

/// `y = bias + sum of weight[i] x[token - size + 1 + i]` for each column.
#[derive(Clone, Copy, Debug)]
pub struct CausalConvolution<'a> {
    /// `[size, width]`, the token's own last.
    pub weight: &'a Buffer,
    /// `[width]`
    pub bias: Option<&'a Buffer>,
    /// Columns.
    pub width: usize,
    /// Tokens that it reaches over.
    pub size: usize,
}

/// `h = exp(delta a) h + delta b x` and `y = c h + d x` along each sequence, for each column and each of its states.
#[derive(Clone, Copy, Debug)]
pub struct SelectiveScan<'a> {
    /// `[states, width]`
    pub a: &'a Buffer,
    /// `[width]`
    pub d: Option<&'a Buffer>,
    /// Columns.
    pub width: usize,
    /// States of a column.
    pub states: usize,
}

/// What changes from token to token in a [`SelectiveScan`].
#[derive(Clone, Copy)]
pub struct Scanned<'a> {
    /// `[n, width]`
    pub x: Columns<'a>,
    /// `[n, width]`
    pub delta: Columns<'a>,
    /// `[n, states]`
    pub b: Columns<'a>,
    /// `[n, states]`
    pub c: Columns<'a>,
}

impl Recorder {
    /// Fills `to [n, width]` from `x [n, width]`; what precedes the rows of a sequence is zeros, or what is kept: the last
    /// `size - 1` rows, the oldest first.
    pub fn causal_convolution(
        &mut self,
        sequences: &Sequences,
        kept: Option<&KeptStates>,
        x: Columns<'_>,
        convolution: &CausalConvolution<'_>,
        to: &Buffer,
    ) {
        let (rows, CausalConvolution { width, size, .. }) = (sequences.rows(), *convolution);
        x.hold(rows, width);
        to.holds(rows * width);
        convolution.weight.holds(size * width);
        // A convolution over the token alone has nothing to keep.
        let kept = kept.filter(|_| size > 1);
        let call = Call::new("causal_convolution")
            .read("x", "f32", x.buffer)
            .read("weight", "f32", convolution.weight)
            .maybe("bias", "f32", convolution.bias)
            .size("x_stride", x.stride)
            .size("x_first", x.first)
            .number("size", size);
        recurrent(call, sequences, kept, (size - 1) * width).write("to", "f32", to).size("width", width).run_each(
            self,
            sequences.count() * width,
            THREADS,
        );
    }

    /// Fills `to [n, width]`; a sequence begins with zeros, or with the kept state `h [states, width]`.
    pub fn selective_scan(
        &mut self,
        sequences: &Sequences,
        kept: Option<&KeptStates>,
        scanned: Scanned<'_>,
        scan: &SelectiveScan<'_>,
        to: &Buffer,
    ) {
        let (rows, SelectiveScan { width, states, .. }) = (sequences.rows(), *scan);
        let Scanned { x, delta, b, c } = scanned;
        [x, delta].iter().for_each(|columns| columns.hold(rows, width));
        [b, c].iter().for_each(|columns| columns.hold(rows, states));
        to.holds(rows * width);
        scan.a.holds(states * width);
        let together = (1..=TOGETHER).rev().find(|count| states.is_multiple_of(*count)).unwrap_or(1);
        let call = Call::new("selective_scan")
            .read("x", "f32", x.buffer)
            .read("delta", "f32", delta.buffer)
            .read("b", "f32", b.buffer)
            .read("c", "f32", c.buffer)
            .read("a", "f32", scan.a)
            .maybe("d", "f32", scan.d)
            .size("x_stride", x.stride)
            .size("x_first", x.first)
            .size("delta_stride", delta.stride)
            .size("delta_first", delta.first)
            .size("b_stride", b.stride)
            .size("b_first", b.first)
            .size("c_stride", c.stride)
            .size("c_first", c.first)
            .size("states", states)
            .number("together", together);
        recurrent(call, sequences, kept, states * width).write("to", "f32", to).size("width", width).run_each(
            self,
            sequences.count() * width,
            THREADS,
        );
    }

    /// Copies the states of blocks, each from the first to the second number of a pair. What is written is not read too.
    ///
    /// # Errors
    /// Where there is no memory for the list, or the GPU is lost.
    pub fn copy_states(&mut self, kept: &KeptStates, pairs: &[(u32, u32)]) -> Result<(), Error> {
        let whole = KeptStates::block_bytes(kept.numbers);
        self.copy_parts(&kept.buffer, (kept.blocks, whole), pairs)
    }
}

/// Binds sequences, and what is kept of them.
fn recurrent<'a>(call: Call<'a>, sequences: &'a Sequences, kept: Option<&'a KeptStates>, numbers: usize) -> Call<'a> {
    let call = call.read("sequences", "vec4<u32>", sequences.list()).flag("kept", kept.is_some());
    let Some(kept) = kept else { return call };
    kept.check(sequences, numbers);
    call.read("table", "u32", sequences.table())
        .write("blocks", "f32", &kept.buffer)
        .number("block", BLOCK)
        .size("block_stride", kept.stride())
}
