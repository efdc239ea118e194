//! Keys and values of tokens that have been computed, and states behind them, kept from run to run.
//!
//! They lie in blocks of [`BLOCK`] tokens. A [`Cached`] sequence holds its blocks; a copy of it is a fork that shares them,
//! and a block that is shared is copied before it is written. A block that nobody holds is free again, so that none can be
//! lost.
//!
//! Of an operator with a state, a block has the state behind the last of its tokens alone. To go on, a run needs the one in
//! the last block; so a sequence can be forked anywhere, but shortened to whole blocks only.
//!
//! A block is of a text, or of the source that a text has: the keys and values of all attentions to it. Both kinds are as
//! long as the longer of them, so that any free block serves for both.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cpu::CpuBlocks;
use crate::gpu::GpuBlocks;

pub use runtime_kernels::BLOCK;

/// The blocks of a plan.
pub struct Cache {
    pub(crate) memory: Memory,
    limit: usize,
    free: Free,
}

/// Where blocks are. They are numbered from 0 in the order in which they are first needed.
pub(crate) enum Memory {
    Cpu(CpuBlocks),
    Gpu(GpuBlocks),
}

impl Memory {
    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Self::Cpu(blocks) => blocks.memory.len(),
            Self::Gpu(blocks) => blocks.len(),
        }
    }

    /// One more.
    fn add(&mut self) {
        match self {
            Self::Cpu(blocks) => blocks.add(),
            Self::Gpu(blocks) => blocks.add(),
        }
    }

    /// Copies a block, before the next run.
    fn copy(&mut self, from: u32, to: u32) {
        match self {
            Self::Cpu(blocks) => blocks.copy(from as usize, to as usize),
            Self::Gpu(blocks) => blocks.copy(from, to),
        }
    }

    fn block_bytes(&self) -> usize {
        match self {
            Self::Cpu(blocks) => blocks.block_bytes(),
            Self::Gpu(blocks) => blocks.block_bytes(),
        }
    }
}

/// The numbers of blocks that nobody holds.
type Free = Arc<Mutex<Vec<u32>>>;

/// A block that is held. Dropping it sets it free.
#[derive(Debug)]
struct Block {
    number: u32,
    free: Free,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}

/// A sequence of which keys and values are kept. Its copy is a fork.
#[derive(Clone, Debug, Default)]
pub struct Cached {
    blocks: Vec<Arc<Block>>,
    tokens: usize,
    /// Whether it ends before the last token that was computed of its last block.
    rewound: bool,
}

/// There is no room for more tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is room for {blocks} blocks of {BLOCK} tokens, and all are in use")]
pub struct CacheFull {
    /// Blocks that there can be.
    pub blocks: usize,
}

impl Cached {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens that are kept.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Forgets all but the first `tokens`. A plan that does not [rewind](crate::Plan::rewinds) goes on from whole blocks alone.
    pub fn truncate(&mut self, tokens: usize) {
        let shorter = tokens < self.tokens;
        self.tokens = self.tokens.min(tokens);
        self.rewound = (self.rewound || shorter) && !self.tokens.is_multiple_of(BLOCK);
        self.blocks.truncate(self.tokens.div_ceil(BLOCK));
    }

    /// Says that a run has added as many tokens.
    ///
    /// # Panics
    /// Where there was no room for them.
    pub fn advance(&mut self, tokens: usize) {
        self.tokens += tokens;
        assert!(self.tokens <= self.blocks.len() * BLOCK, "a run has room for what it adds");
    }

    pub(crate) fn is_rewound(&self) -> bool {
        self.rewound
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.blocks.iter().map(|block| block.number)
    }
}

impl Cache {
    pub(crate) fn new(memory: Memory, limit: usize) -> Self {
        Self { memory, limit, free: Free::default() }
    }

    /// Bytes of a block.
    pub fn block_bytes(&self) -> usize {
        self.memory.block_bytes()
    }

    /// Blocks that there can be, which may be fewer than were asked for.
    pub fn blocks(&self) -> usize {
        self.limit
    }

    /// Blocks that are held.
    pub fn held(&self) -> usize {
        self.memory.len() - self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Makes room for `tokens` more of a sequence, in blocks that it alone holds.
    ///
    /// # Errors
    /// Where there are not enough blocks; the sequence is then as before, or has room for fewer.
    pub fn reserve(&mut self, cached: &mut Cached, tokens: usize) -> Result<(), CacheFull> {
        let last = cached.tokens / BLOCK;
        if !cached.tokens.is_multiple_of(BLOCK) && tokens > 0 && Arc::get_mut(&mut cached.blocks[last]).is_none() {
            let copy = self.block()?;
            self.memory.copy(cached.blocks[last].number, copy.number);
            cached.blocks[last] = Arc::new(copy);
        }
        while cached.blocks.len() * BLOCK < cached.tokens + tokens {
            cached.blocks.push(Arc::new(self.block()?));
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Block, CacheFull> {
        let known = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let number = match known {
            Some(number) => number,
            None if self.memory.len() < self.limit => {
                self.memory.add();
                u32::try_from(self.memory.len() - 1).unwrap_or(u32::MAX)
            }
            None => return Err(CacheFull { blocks: self.limit }),
        };
        Ok(Block { number, free: Arc::clone(&self.free) })
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("held", &self.held()).field("limit", &self.limit).finish_non_exhaustive()
    }
}
