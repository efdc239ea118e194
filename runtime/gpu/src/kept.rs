//! Keys and values that are kept from run to run.

use runtime_kernels::BLOCK;

use crate::attention::columns;
use crate::call::Call;
use crate::{Buffer, Columns, Error, Gpu, Recorder, Sequences};

/// What is kept for one attention, in blocks of [`BLOCK`] tokens. A copy is the same memory.
///
/// A block has, for each head, keys with neighbouring tokens next to each other and then values with neighbouring columns
/// next to each other: in the order in which threads read them.
#[derive(Clone, Debug)]
pub struct Kept {
    buffer: Buffer,
    heads: usize,
    head_size: usize,
    blocks: usize,
}

impl Kept {
    /// Room for so many blocks, for heads of keys and values.
    ///
    /// # Errors
    /// Where that is more than a buffer may have, or than there is memory for.
    pub fn new(gpu: &Gpu, blocks: usize, heads: usize, head_size: usize) -> Result<Self, Error> {
        let buffer = gpu.empty(blocks * Self::block_bytes(heads, head_size))?;
        Ok(Self { buffer, heads, head_size, blocks })
    }

    /// Bytes of a block.
    pub fn block_bytes(heads: usize, head_size: usize) -> usize {
        32 * heads * head_size.div_ceil(4) * BLOCK
    }

    /// Takes over the blocks of another with no more room, for the same heads.
    ///
    /// # Errors
    /// Where the GPU is lost.
    pub fn fill_from(&self, gpu: &Gpu, other: &Self) -> Result<(), Error> {
        let same = (self.heads, self.head_size) == (other.heads, other.head_size);
        assert!(same && other.blocks <= self.blocks, "room for what is taken over");
        gpu.copy(&other.buffer, &self.buffer)
    }

    /// Blocks that there is room for.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    pub(crate) fn heads(&self) -> usize {
        self.heads
    }

    pub(crate) fn head_size(&self) -> usize {
        self.head_size
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

impl Recorder {
    /// Keeps the keys and values of the rows of sequences, behind their past. No two sequences may write the same block.
    pub fn keep(&mut self, sequences: &Sequences, kept: &Kept, [k, v]: [Columns<'_>; 2]) {
        let (rows, heads, head_size) = (sequences.rows(), kept.heads, kept.head_size);
        [k, v].iter().for_each(|columns| columns.hold(rows, heads * head_size));
        assert!(sequences.roomy(), "blocks for what is kept and what is added");
        assert!(sequences.blocks_below(kept.blocks), "blocks that there are");
        let vectors = [k, v].iter().all(|columns| columns.aligned(head_size));
        let call = Call::new("keep").number("head_size", head_size).flag("vectors", vectors).number("block", BLOCK);
        columns("k", k, vectors, columns("v", v, vectors, call))
            .read("sequences", "vec4<u32>", sequences.list())
            .read("row_sequences", "u32", sequences.of_rows())
            .read("table", "u32", sequences.table())
            .write("blocks", "vec4<f32>", &kept.buffer)
            .size("key_value_heads", heads)
            .run_each(self, rows * heads * head_size.div_ceil(4), 128);
    }

    /// Copies blocks, each from the first to the second number of a pair. What is written is not read too.
    ///
    /// # Errors
    /// Where there is no memory for the list, or the GPU is lost.
    pub fn copy_blocks(&mut self, kept: &Kept, pairs: &[(u32, u32)]) -> Result<(), Error> {
        let whole = Kept::block_bytes(kept.heads, kept.head_size);
        self.copy_parts(&kept.buffer, (kept.blocks, whole), pairs)
    }

    /// Copies parts of a buffer that has so many of so many bytes.
    pub(crate) fn copy_parts(
        &mut self,
        buffer: &Buffer,
        (parts, bytes): (usize, usize),
        pairs: &[(u32, u32)],
    ) -> Result<(), Error> {
        assert!(pairs.iter().all(|(a, b)| (*a.max(b) as usize) < parts), "blocks that there are");
        let numbers: Vec<u32> = pairs.iter().flat_map(|(source, copy)| [*source, *copy]).collect();
        let list = self.upload_u32(&numbers)?;
        let length = bytes / 16;
        Call::new("copy_block")
            .read("pairs", "vec2<u32>", &list)
            .write("blocks", "vec4<f32>", buffer)
            .size("length", length)
            .run_each(self, pairs.len() * length, 128);
        Ok(())
    }
}
