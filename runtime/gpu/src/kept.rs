//! Keys and values that are kept from run to run.

use runtime_kernels::BLOCK;

use crate::attention::columns;
use crate::call::Call;
use crate::{Buffer, Columns, Error, Gpu, Recorder, Sequences};

/// What keys and values are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheType {
    /// Single precision.
    #[default]
    F32,
    /// IEEE half precision, which rounds to 11 bits; what is beyond its range is kept as the greatest number that it has.
    F16,
}

impl CacheType {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// What kernels see of four numbers.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::F32 => "vec4<f32>",
            Self::F16 => "vec2<u32>",
        }
    }
}

/// What is kept for one attention, in blocks of [`BLOCK`] tokens. A copy is the same memory.
///
/// A block has, for each head, keys with neighbouring tokens next to each other and then values with neighbouring columns
/// next to each other: in the order in which threads read them.
#[derive(Clone, Debug)]
pub struct Kept {
    buffer: Buffer,
    heads: usize,
    head_size: usize,
    cache_type: CacheType,
    blocks: usize,
}

impl Kept {
    /// Room for so many blocks, for heads of keys and values.
    ///
    /// # Errors
    /// Where that is more than a buffer may have, or than there is memory for.
    pub fn new(
        gpu: &Gpu,
        blocks: usize,
        (heads, head_size): (usize, usize),
        cache_type: CacheType,
    ) -> Result<Self, Error> {
        let buffer = gpu.empty(blocks * Self::block_bytes((heads, head_size), cache_type))?;
        Ok(Self { buffer, heads, head_size, cache_type, blocks })
    }

    /// Bytes of a block.
    pub fn block_bytes((heads, head_size): (usize, usize), cache_type: CacheType) -> usize {
        2 * 4 * cache_type.bytes() * heads * head_size.div_ceil(4) * BLOCK
    }

    /// Takes over the blocks of another with no more room, for the same heads.
    ///
    /// # Errors
    /// Where the GPU is lost.
    pub fn fill_from(&self, gpu: &Gpu, other: &Self) -> Result<(), Error> {
        let form = |kept: &Self| (kept.heads, kept.head_size, kept.cache_type);
        let same = form(self) == form(other);
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

    /// Binds the blocks, which a kernel may also write.
    pub(crate) fn bind<'a>(&'a self, call: Call<'a>, written: bool) -> Call<'a> {
        let element = self.cache_type.element();
        let call = call.number("block", BLOCK).flag("halves", self.cache_type == CacheType::F16);
        match written {
            true => call.write("blocks", element, &self.buffer),
            false => call.read("blocks", element, &self.buffer),
        }
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
        let call = kept.bind(Call::new("keep").number("head_size", head_size).flag("vectors", vectors), true);
        columns("k", k, vectors, columns("v", v, vectors, call))
            .read("sequences", "vec4<u32>", sequences.list())
            .read("row_sequences", "u32", sequences.of_rows())
            .read("table", "u32", sequences.table())
            .size("key_value_heads", heads)
            .run_each(self, rows * heads * head_size.div_ceil(4), 128);
    }

    /// Copies blocks, each from the first to the second number of a pair. What is written is not read too.
    ///
    /// # Errors
    /// Where there is no memory for the list, or the GPU is lost.
    pub fn copy_blocks(&mut self, kept: &Kept, pairs: &[(u32, u32)]) -> Result<(), Error> {
        let whole = Kept::block_bytes((kept.heads, kept.head_size), kept.cache_type);
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
