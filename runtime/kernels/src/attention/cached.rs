//! Attention over keys and values that are kept from run to run.
//!
//! They are kept in blocks of [`BLOCK`] tokens, in the form in which the products read them, so that nothing is packed
//! again: for each head, panels of keys `[tokens, panel]`, and panels of values' columns. A run first writes what its
//! tokens add, then attends. Each sum runs in the order of the tokens, as without blocks, so that a result does not depend
//! on how a sequence was cut into runs.
//!
//! Blocks of another kind hold the keys and values of sources, which a run of their own writes, and to all of which the
//! tokens of other sequences attend. Neighbours in a batch with the same source, such as beams, read it once.

use std::collections::HashSet;
use std::ops::Range;

use super::{Attention, AttentionScratch, Buffers, Chunk, Columns, ROWS, Relative, TASK_ROWS, grow, weigh};
use crate::aligned::Buffer;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd, WIDEST_PANEL};
use crate::team::Team;
use crate::tile::Tile;

/// Tokens in a block, a multiple of every panel.
pub const BLOCK: usize = WIDEST_PANEL;

/// Where a block has the keys and values of one attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Numbers before them.
    pub first: usize,
    /// Heads of keys and values.
    pub heads: usize,
    /// Numbers of a head.
    pub head_size: usize,
}

impl Place {
    /// How many numbers they are.
    pub fn len(&self) -> usize {
        self.heads * self.head_len(Isa::best().panel())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn head_len(&self, panel: usize) -> usize {
        BLOCK * (self.head_size + self.head_size.next_multiple_of(panel))
    }
}

/// What is kept of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past<'a> {
    /// Tokens whose keys and values are there.
    pub tokens: usize,
    /// The numbers of its blocks, with room for what a run adds.
    pub blocks: &'a [u32],
}

/// The blocks of the sequences of a run.
pub struct Kept<'a> {
    blocks: Vec<Shared<'a, f32>>,
    pasts: Vec<Past<'a>>,
    sources: Vec<Past<'a>>,
}

impl<'a> Kept<'a> {
    /// The blocks `memory`, and what is kept of each sequence, to which a run adds the tokens between two `offsets`;
    /// where they have sources, those of each sequence.
    ///
    /// # Panics
    /// Where a sequence lacks a block, or a block that is written is also another sequence's.
    pub fn new(memory: &'a mut [Buffer], pasts: Vec<Past<'a>>, sources: Vec<Past<'a>>, offsets: &[usize]) -> Self {
        let blocks: Vec<Shared<'a, f32>> = memory.iter_mut().map(|block| Shared::new(block)).collect();
        assert_eq!(pasts.len() + 1, offsets.len(), "a past for each sequence");
        let mut written = HashSet::new();
        for (past, pair) in pasts.iter().zip(offsets.windows(2)) {
            let tokens = past.tokens + (pair[1] - pair[0]);
            assert!(past.blocks.len() * BLOCK >= tokens, "room for {tokens} tokens");
            assert!(past.blocks.iter().all(|block| (*block as usize) < blocks.len()), "blocks that there are");
            let new = &past.blocks[past.tokens / BLOCK..tokens.div_ceil(BLOCK)];
            assert!(new.iter().all(|block| written.insert(*block)), "a block is written for one sequence");
        }
        for past in &pasts {
            let read = &past.blocks[..past.tokens / BLOCK];
            assert!(read.iter().all(|block| !written.contains(block)), "what is read is not written");
        }
        assert!(sources.is_empty() || sources.len() == pasts.len(), "a source for each sequence, or for none");
        for source in &sources {
            assert!(source.blocks.len() * BLOCK >= source.tokens, "{} tokens that were read", source.tokens);
            assert!(source.blocks.iter().all(|block| (*block as usize) < blocks.len()), "blocks that there are");
            assert!(source.blocks.iter().all(|block| !written.contains(block)), "what is read is not written");
        }
        Self { blocks, pasts, sources }
    }

    /// Keeps the keys and values of one attention for the new tokens, those of each sequence between two `offsets`.
    pub fn keep(&self, team: &Team<'_>, place: Place, offsets: &[usize], [k, v]: [Columns<'_>; 2]) {
        assert_eq!(offsets.len(), self.pasts.len() + 1, "a past for each sequence");
        let isa = Isa::best();
        team.each(self.pasts.len() * place.heads, &|task, _| {
            let (sequence, head) = (task / place.heads, task % place.heads);
            isa.run(Keep { kept: self, place, rows: offsets[sequence]..offsets[sequence + 1], k, v, sequence, head });
        });
    }

    /// Tokens of a sequence that are kept.
    pub(crate) fn past(&self, sequence: usize) -> usize {
        self.pasts[sequence].tokens
    }

    /// The block of a token of a sequence.
    pub(crate) fn block(&self, sequence: usize, token: usize) -> &Shared<'a, f32> {
        &self.blocks[self.pasts[sequence].blocks[token / BLOCK] as usize]
    }

    /// A block of `past`, and where it has the keys and values of a head.
    fn head<S: Simd>(&self, past: &Past<'_>, block: usize, place: Place, head: usize) -> (&Shared<'a, f32>, usize) {
        (&self.blocks[past.blocks[block] as usize], place.first + head * place.head_len(S::PANEL))
    }
}

/// Attention over what is kept: causal over what a run adds too, else over sources.
pub struct CachedAttention<'a> {
    /// The attention, without terms of contents and positions; its offsets are those of the new tokens.
    pub attention: Attention<'a>,
    /// Where it is in each block.
    pub place: Place,
    /// The sequences' blocks.
    pub kept: &'a Kept<'a>,
}

impl CachedAttention<'_> {
    /// Keeps the keys and values, and fills `to [n, heads * head_size]`.
    pub fn run(&self, team: &Team<'_>, [q, k, v]: [Columns<'_>; 3], scratch: &mut AttentionScratch, to: &mut [f32]) {
        assert!(self.attention.causal, "keys are kept of causal attention alone");
        self.kept.keep(team, self.place, self.attention.offsets, [k, v]);
        let pasts = self.kept.pasts.iter().enumerate();
        self.attend(team, q, pasts.map(|(sequence, past)| (sequence..sequence + 1, past)), scratch, to);
    }

    /// Fills `to [n, heads * head_size]` with what the tokens find in all tokens of their sources, of which each has one.
    pub fn run_over_sources(&self, team: &Team<'_>, q: Columns<'_>, scratch: &mut AttentionScratch, to: &mut [f32]) {
        assert!(!self.attention.causal && self.attention.window.is_none(), "a source is seen as a whole");
        assert!(self.attention.relative.is_none(), "there is no distance to a token of a source");
        let mut first = 0;
        let groups = self.kept.sources.chunk_by(|a, b| a == b).map(|group| {
            first += group.len();
            (first - group.len()..first, &group[0])
        });
        self.attend(team, q, groups, scratch, to);
    }

    /// Attends with the rows of some sequences at a time to the tokens that are kept in the same blocks.
    fn attend<'p>(
        &self,
        team: &Team<'_>,
        q: Columns<'_>,
        groups: impl Iterator<Item = (Range<usize>, &'p Past<'p>)>,
        scratch: &mut AttentionScratch,
        to: &mut [f32],
    ) {
        let (isa, attention) = (Isa::best(), &self.attention);
        let disentangled = matches!(attention.relative, Some(Relative::Disentangled { .. }));
        assert!(!disentangled, "keys are kept without what positions add to them");
        assert_eq!(attention.offsets.len(), self.kept.pasts.len() + 1, "a past for each sequence");
        scratch.chunks.clear();
        let mut pasts = Vec::new();
        let mut longest = 0;
        for (sequences, past) in groups {
            let rows = attention.offsets[sequences.start]..attention.offsets[sequences.end];
            let count = rows.len().div_ceil(TASK_ROWS);
            longest = longest.max(past.tokens + if attention.causal { rows.len() } else { 0 });
            for index in 0..count {
                let part = rows.start + rows.len() * index / count..rows.start + rows.len() * (index + 1) / count;
                scratch.chunks.push(Chunk { sequence: rows.clone(), rows: part });
                pasts.push(past);
            }
        }
        if scratch.threads.len() < team.threads() {
            scratch.threads.resize_with(team.threads(), Buffers::default);
        }
        for buffers in &mut scratch.threads[..team.threads()] {
            buffers.fit_scores(longest, attention.head_size);
        }
        let (chunks, threads) = (&scratch.chunks, Shared::new(&mut scratch.threads));
        let to = Shared::new(to);
        team.each(chunks.len() * attention.heads, &|task, thread| {
            // SAFETY: no two tasks run at the same time on the same thread.
            #[expect(unsafe_code, reason = "each thread has its buffers")]
            let buffers = unsafe { &mut threads.part(thread..thread + 1)[0] };
            let (chunk, past, head) =
                (&chunks[task / attention.heads], pasts[task / attention.heads], task % attention.heads);
            isa.run(Attend { cached: self, q, past, head, chunk, buffers, to: &to });
        });
    }
}

/// Writes the new keys and values of one head of a sequence.
struct Keep<'a> {
    kept: &'a Kept<'a>,
    place: Place,
    /// The rows of the new tokens.
    rows: Range<usize>,
    k: Columns<'a>,
    v: Columns<'a>,
    sequence: usize,
    head: usize,
}

impl Kernel for Keep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let size = self.place.head_size;
        let past = &self.kept.pasts[self.sequence];
        for (token, row) in (past.tokens..).zip(self.rows) {
            let (block, first) = self.kept.head::<S>(past, token / BLOCK, self.place, self.head);
            let token = token % BLOCK;
            // SAFETY: `Kept` has seen that no other sequence has this block, and this task alone has this head of it.
            #[expect(unsafe_code, reason = "blocks are cut up among sequences and heads")]
            let to = unsafe { block.part(first..first + self.place.head_len(S::PANEL)) };
            let (keys, values) = to.split_at_mut(BLOCK * size);
            let panel = &mut keys[token / S::PANEL * size * S::PANEL..][..size * S::PANEL];
            let key = self.k.row(row, self.head * size, size);
            for (to, x) in panel[token % S::PANEL..].iter_mut().step_by(S::PANEL).zip(key) {
                *to = *x;
            }
            let value = self.v.row(row, self.head * size, size);
            for (panel, part) in value.chunks(S::PANEL).enumerate() {
                let to = &mut values[(panel * BLOCK + token) * S::PANEL..][..S::PANEL];
                to[..part.len()].copy_from_slice(part);
                to[part.len()..].fill(0.0);
            }
        }
    }
}

/// One head of some rows.
struct Attend<'a> {
    cached: &'a CachedAttention<'a>,
    q: Columns<'a>,
    past: &'a Past<'a>,
    head: usize,
    chunk: &'a Chunk,
    buffers: &'a mut Buffers,
    to: &'a Shared<'a, f32>,
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let attention = &self.cached.attention;
        let (size, padded) = (attention.head_size, attention.head_size.next_multiple_of(S::PANEL));
        let width = attention.heads * size;
        let Range { start, end } = self.chunk.rows;
        for first in (start..end).step_by(ROWS) {
            let rows = first..end.min(first + ROWS);
            let (oldest, newest) = (self.seen(rows.start).start, self.seen(rows.end - 1).end);
            let panels = oldest / S::PANEL..newest.div_ceil(S::PANEL);
            let stride = newest.next_multiple_of(S::PANEL);
            self.scores::<S>(&rows, &panels, stride);
            let mut factors = [0.0; ROWS];
            for (row, factor) in rows.clone().zip(&mut factors) {
                let seen = self.seen(row);
                let bias = self.bias(row, seen.start);
                let scores = &mut self.buffers.scores[(row - rows.start) * stride..][..stride];
                scores[panels.start * S::PANEL..seen.start].fill(0.0);
                scores[seen.end..].fill(0.0);
                *factor = weigh::<S>(&mut scores[seen], attention.soft_cap, |scores| {
                    for (score, bias) in scores.iter_mut().zip(bias.into_iter().flatten()) {
                        *score += bias;
                    }
                });
            }
            self.sums::<S>(rows.len(), panels.start * S::PANEL..newest, stride);
            for ((row, from), factor) in rows.zip(self.buffers.sums.chunks_exact(padded)).zip(factors) {
                let column = row * width + self.head * size;
                // SAFETY: this task alone has these rows of this head.
                #[expect(unsafe_code, reason = "the result is cut up among tasks")]
                let to = unsafe { self.to.part(column..column + size) };
                for (to, x) in to.iter_mut().zip(from) {
                    *to = x * factor;
                }
            }
        }
    }
}

impl<'a> Attend<'a> {
    /// Of what is kept, the tokens that a row sees.
    fn seen(&self, row: usize) -> Range<usize> {
        if !self.cached.attention.causal {
            return 0..self.past.tokens;
        }
        let token = self.token(row);
        token.saturating_sub(self.cached.attention.window.unwrap_or(usize::MAX))..token + 1
    }

    /// What distances add to the scores of a row, from the token `first` on.
    fn bias(&self, row: usize, first: usize) -> Option<&'a [f32]> {
        match self.cached.attention.relative {
            Some(Relative::Bias { table, reach }) => {
                Some(&table[self.head * (2 * reach + 1) + reach + first - self.token(row)..])
            }
            _ => None,
        }
    }

    /// A row's place in its sequence.
    fn token(&self, row: usize) -> usize {
        self.past.tokens + (row - self.chunk.sequence.start)
    }

    /// Where the keys and values of its head begin in a block.
    #[inline(always)]
    fn block<S: Simd>(&self, block: usize) -> *const f32 {
        let attention = &self.cached.attention;
        let head = self.head / (attention.heads / attention.key_value_heads);
        let (block, first) = self.cached.kept.head::<S>(self.past, block, self.cached.place, head);
        block.pointer(first)
    }

    #[inline(always)]
    fn scores<S: Simd>(&mut self, rows: &Range<usize>, panels: &Range<usize>, stride: usize) {
        let (attention, size) = (&self.cached.attention, self.cached.attention.head_size);
        for (to, row) in self.buffers.queries.chunks_exact_mut(size).zip(rows.clone()) {
            for (to, x) in to.iter_mut().zip(self.q.row(row, self.head * size, size)) {
                *to = x * attention.scale;
            }
        }
        for panel in panels.clone() {
            let token = panel * S::PANEL;
            let keys = self.block::<S>(token / BLOCK).wrapping_add(token % BLOCK * size);
            for first in (0..rows.len()).step_by(S::ROWS) {
                let count = S::ROWS.min(rows.len() - first);
                let to = &mut self.buffers.scores[first * stride + token..][..(count - 1) * stride + S::PANEL];
                let tile = Tile {
                    depth: size,
                    a: self.buffers.queries[first * size..][..count * size].as_ptr(),
                    a_stride: size,
                    b: keys,
                    c: to.as_mut_ptr(),
                    c_stride: stride,
                    accumulate: false,
                };
                // SAFETY: `Isa::run` has asked for `S`; the slices above are as long as the tile needs, and the panel
                // lies within a block, which nobody writes now.
                #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
                unsafe {
                    S::tile(count, tile);
                }
            }
        }
    }

    /// Adds up the values of `tokens`, block by block.
    #[inline(always)]
    fn sums<S: Simd>(&mut self, rows: usize, tokens: Range<usize>, stride: usize) {
        let size = self.cached.attention.head_size;
        let padded = size.next_multiple_of(S::PANEL);
        for block in tokens.start / BLOCK..tokens.end.div_ceil(BLOCK) {
            let here = tokens.start.max(block * BLOCK)..tokens.end.min((block + 1) * BLOCK);
            let values = self.block::<S>(block).wrapping_add(BLOCK * size);
            for panel in 0..padded / S::PANEL {
                let values = values.wrapping_add((panel * BLOCK + here.start % BLOCK) * S::PANEL);
                for first in (0..rows).step_by(S::ROWS) {
                    let count = S::ROWS.min(rows - first);
                    let to =
                        &mut self.buffers.sums[first * padded + panel * S::PANEL..][..(count - 1) * padded + S::PANEL];
                    let weights = &self.buffers.scores[first * stride + here.start..];
                    let tile = Tile {
                        depth: here.len(),
                        a: weights[..(count - 1) * stride + here.len()].as_ptr(),
                        a_stride: stride,
                        b: values,
                        c: to.as_mut_ptr(),
                        c_stride: padded,
                        accumulate: here.start > tokens.start,
                    };
                    // SAFETY: as above.
                    #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
                    unsafe {
                        S::tile(count, tile);
                    }
                }
            }
        }
    }
}

impl Buffers {
    /// Room for the scores of as many tokens.
    fn fit_scores(&mut self, tokens: usize, head_size: usize) {
        let (tokens, size) = (tokens.next_multiple_of(WIDEST_PANEL), head_size.next_multiple_of(WIDEST_PANEL));
        grow(&mut self.queries, ROWS * size);
        grow(&mut self.scores, ROWS * tokens);
        grow(&mut self.sums, ROWS * size);
    }
}
