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

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::Past;
#[cfg(feature = "candle")]
use crate::candle::CandleBlocks;
use crate::cpu::CpuBlocks;
use crate::gpu::GpuBlocks;
use crate::lower::check_states;
use crate::{Batch, Error};

pub use runtime_kernels::BLOCK;

/// The blocks of a plan.
pub struct Cache {
    pub(crate) memory: Memory,
    limit: usize,
    free: Free,
    /// Blocks with states that a run was changing when it failed.
    torn: HashSet<u32>,
}

/// Where blocks are. They are numbered from 0 in the order in which they are first needed.
pub(crate) enum Memory {
    Cpu(CpuBlocks),
    Gpu(GpuBlocks),
    /// Those of each part of a plan, as many in each: a block is one of the same number in all of them.
    Placed(Vec<Memory>),
    #[cfg(feature = "candle")]
    Candle(CandleBlocks),
}

impl Memory {
    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Self::Cpu(blocks) => blocks.memory.len(),
            Self::Gpu(blocks) => blocks.len(),
            Self::Placed(parts) => parts.first().map_or(0, Self::len),
            #[cfg(feature = "candle")]
            Self::Candle(blocks) => blocks.len(),
        }
    }

    /// One more.
    fn add(&mut self) {
        match self {
            Self::Cpu(blocks) => blocks.add(),
            Self::Gpu(blocks) => blocks.add(),
            Self::Placed(parts) => parts.iter_mut().for_each(Self::add),
            #[cfg(feature = "candle")]
            Self::Candle(blocks) => blocks.add(),
        }
    }

    /// Copies a block, before the next run.
    fn copy(&mut self, from: u32, to: u32) {
        match self {
            Self::Cpu(blocks) => blocks.copy(from as usize, to as usize),
            Self::Gpu(blocks) => blocks.copy(from, to),
            Self::Placed(parts) => parts.iter_mut().for_each(|part| part.copy(from, to)),
            #[cfg(feature = "candle")]
            Self::Candle(blocks) => blocks.copy(from, to),
        }
    }

    fn block_bytes(&self) -> usize {
        match self {
            Self::Cpu(blocks) => blocks.block_bytes(),
            Self::Gpu(blocks) => blocks.block_bytes(),
            Self::Placed(parts) => parts.iter().map(Self::block_bytes).sum(),
            #[cfg(feature = "candle")]
            Self::Candle(blocks) => blocks.block_bytes(),
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
        Self { memory, limit, free: Free::default(), torn: HashSet::new() }
    }

    /// One cache of those of the parts of a plan.
    pub(crate) fn of_parts(parts: Vec<Self>) -> Self {
        let limit = parts.iter().map(|part| part.limit).min().unwrap_or(0);
        Self::new(Memory::Placed(parts.into_iter().map(|part| part.memory).collect()), limit)
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

    /// Begins a run of a plan with or without states. Where there are such, notes the blocks that it writes until [`Self::end`]
    /// is said: if it fails between the two, some of the states that it began with may be replaced, and nobody may go on from
    /// them. Keys and values would be written once more.
    ///
    /// # Errors
    /// Where that has happened to a sequence, or where it was shortened to where there is no state.
    pub(crate) fn begin(&mut self, batch: &Batch, states: bool) -> Result<Vec<u32>, Error> {
        if !states {
            return Ok(Vec::new());
        }
        check_states(batch)?;
        let written = |past: &Past| past.blocks[past.tokens / BLOCK..].to_vec();
        // A run that begins behind a whole block reads that one, and replaces none.
        let replaced = |past: &Past| written(past).first().copied().filter(|_| !past.tokens.is_multiple_of(BLOCK));
        let is_torn = |past: &Past| replaced(past).is_some_and(|block| self.torn.contains(&block));
        if let Some(sequence) = batch.pasts().iter().position(is_torn) {
            return Err(Error::TornState { sequence });
        }
        let changed: Vec<u32> = batch.pasts().iter().flat_map(written).collect();
        self.torn.extend(&changed);
        Ok(changed)
    }

    /// Says that a run has written all of its states, or none.
    pub(crate) fn end(&mut self, changed: &[u32]) {
        changed.iter().for_each(|block| _ = self.torn.remove(block));
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

/// Copies in groups within which none reads or writes what another writes.
pub(crate) fn apart(copies: &[(u32, u32)]) -> Vec<&[(u32, u32)]> {
    let (mut groups, mut first) = (Vec::new(), 0);
    for (at, (from, to)) in copies.iter().enumerate() {
        let clashes = |(a, b): &(u32, u32)| b == from || b == to || a == to;
        if copies[first..at].iter().any(clashes) {
            groups.push(&copies[first..at]);
            first = at;
        }
    }
    if first < copies.len() {
        groups.push(&copies[first..]);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_depend_on_each_other_stay_in_order() {
        let none: [&[(u32, u32)]; 0] = [];
        assert_eq!(apart(&[]), none);
        assert_eq!(apart(&[(0, 1), (0, 2), (3, 4)]), [&[(0, 1), (0, 2), (3, 4)][..]]);
        assert_eq!(apart(&[(0, 1), (1, 2)]), [&[(0, 1)][..], &[(1, 2)]]);
        assert_eq!(apart(&[(0, 1), (2, 1), (3, 0)]), [&[(0, 1)][..], &[(2, 1), (3, 0)]]);
        assert_eq!(apart(&[(0, 1), (2, 0)]), [&[(0, 1)][..], &[(2, 0)]]);
    }

    #[test]
    fn nobody_goes_on_from_a_state_that_a_failure_has_left() {
        let blocks = CpuBlocks::new(Vec::new(), Vec::new(), &[3, 4]);
        let mut cache = Cache::new(Memory::Cpu(blocks), 9);
        assert_eq!(cache.block_bytes(), 28);
        let mut kept = |tokens| {
            let mut cached = Cached::new();
            cache.reserve(&mut cached, tokens + 1).expect("there is room");
            cached.advance(tokens);
            cached
        };
        let (within, behind, new) = (kept(5), kept(BLOCK), kept(0));
        let batch = |sequences: &[&Cached]| {
            let mut batch = Batch::new();
            sequences.iter().for_each(|cached| batch.push_after(cached, &[1]));
            batch
        };
        cache.begin(&batch(&[&within, &behind, &new]), true).expect("all states are there");
        // It panics. What was read of whole blocks, or not at all, can be read again.
        cache.begin(&batch(&[&behind, &new]), true).expect("their states are there");
        let torn = cache.begin(&batch(&[&new, &within]), true).expect_err("nobody knows its state");
        assert!(matches!(torn, Error::TornState { sequence: 1 }), "{torn}");
        // Its block is set free and taken by another sequence.
        drop(within);
        let mut other = Cached::new();
        cache.reserve(&mut other, 7).expect("there is room");
        let begun = cache.begin(&batch(&[&other]), true).expect("it begins with zeros");
        cache.end(&begun);
        other.advance(6);
        cache.begin(&batch(&[&other]), true).expect("its state is there");
    }
}
