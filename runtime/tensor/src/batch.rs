//! Sequences laid end to end.

use std::ops::Range;

use crate::{Cached, PlanAdapter, Wanted};

/// A packed batch: `n` tokens of `s` sequences, and the `r` rows that are asked for.
///
/// ```
/// use runtime_tensor::Batch;
///
/// let mut batch = Batch::new();
/// batch.push(&[101, 7592, 102], &[0, 0, 0]);
/// batch.push(&[101, 102], &[0, 0]);
/// assert_eq!((batch.tokens(), batch.sequences()), (5, 2));
/// assert_eq!(batch.positions(), [0, 1, 2, 0, 1]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    token_ids: Vec<u32>,
    token_types: Vec<u32>,
    positions: Vec<u32>,
    offsets: Vec<usize>,
    rows: Vec<u32>,
    /// What is wanted of the first of these rows; of those behind, all.
    wanted: Vec<Wanted>,
    /// For each sequence what is kept of it, or nothing for any.
    pasts: Vec<Past>,
    /// For each sequence its source, or nothing for any.
    sources: Vec<Past>,
    /// The adapters of the first sequences; those behind have none.
    adapters: Vec<Option<PlanAdapter>>,
}

/// Tokens before those of the batch, and the blocks that keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) tokens: usize,
    pub(crate) blocks: Vec<u32>,
    /// Whether states behind the last of them are not there any more.
    pub(crate) rewound: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            token_ids: vec![],
            token_types: vec![],
            positions: vec![],
            offsets: vec![0],
            rows: vec![],
            wanted: vec![],
            pasts: vec![],
            sources: vec![],
            adapters: vec![],
        }
    }
}

impl Batch {
    /// No sequence yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sequence of `token_ids`, with the type of each token (missing types are 0).
    pub fn push(&mut self, token_ids: &[u32], token_types: &[u32]) {
        self.token_ids.extend_from_slice(token_ids);
        self.token_types.extend((0..token_ids.len()).map(|index| token_types.get(index).copied().unwrap_or(0)));
        self.positions.extend((0..).take(token_ids.len()));
        self.offsets.push(self.token_ids.len());
    }

    /// Adds the tokens that follow those kept in `past`, which has room for them. A batch has such sequences alone, or none.
    pub fn push_after(&mut self, past: &Cached, token_ids: &[u32]) {
        let tokens = past.tokens();
        self.token_ids.extend_from_slice(token_ids);
        self.token_types.resize(self.token_ids.len(), 0);
        let position = |index: usize| u32::try_from(tokens + index).unwrap_or(u32::MAX);
        self.positions.extend((0..token_ids.len()).map(position));
        self.offsets.push(self.token_ids.len());
        self.pasts.push(Past { tokens, blocks: past.numbers().collect(), rewound: past.is_rewound() });
    }

    /// The same for tokens that have a source, which [`Plan::read_sources`](crate::Plan::read_sources) has read. Sequences
    /// with the same source, such as beams, are best added one after another.
    pub fn push_after_source(&mut self, past: &Cached, source: &Cached, token_ids: &[u32]) {
        self.push_after(past, token_ids);
        let blocks = source.numbers().collect();
        self.sources.push(Past { tokens: source.tokens(), blocks, rewound: source.is_rewound() });
    }

    /// Has the sequence that was added last computed with an adapter, which the plan that runs the batch has made.
    pub fn adapt(&mut self, adapter: &PlanAdapter) {
        let Some(before) = self.sequences().checked_sub(1) else { return };
        self.adapters.resize(before, None);
        self.adapters.push(Some(adapter.clone()));
    }

    /// The same with other adapters.
    pub(crate) fn with_adapters(&self, adapters: Vec<Option<PlanAdapter>>) -> Self {
        Self { adapters, ..self.clone() }
    }

    /// The same with all of each row wanted.
    pub(crate) fn with_whole_rows(&self) -> Self {
        Self { wanted: Vec::new(), ..self.clone() }
    }

    pub(crate) fn adapters(&self) -> &[Option<PlanAdapter>] {
        &self.adapters
    }

    pub(crate) fn sources(&self) -> &[Past] {
        &self.sources
    }

    pub(crate) fn pasts(&self) -> &[Past] {
        &self.pasts
    }

    /// Tokens kept of a sequence.
    pub(crate) fn past(&self, sequence: usize) -> usize {
        self.pasts.get(sequence).map_or(0, |past| past.tokens)
    }

    /// The longest sequence with what is kept of it, in tokens.
    pub(crate) fn longest(&self) -> usize {
        self.spans().enumerate().map(|(sequence, span)| self.past(sequence) + span.len()).max().unwrap_or(0)
    }

    /// Asks for the row of a token, counted over the whole batch; `select-rows` yields them in this order.
    pub fn ask_row(&mut self, token: u32) {
        self.rows.push(token);
    }

    /// Asks for the row of a token as [`Self::ask_row`], but wants no more than this of it in results that have a row for
    /// each that is asked for.
    pub fn ask(&mut self, token: u32, wanted: Wanted) {
        if wanted != Wanted::Row {
            self.wanted.resize(self.rows.len(), Wanted::Row);
            self.wanted.push(wanted);
        }
        self.ask_row(token);
    }

    /// What is wanted of an asked row, by its number among them.
    pub(crate) fn wanted(&self, row: usize) -> Wanted {
        self.wanted.get(row).copied().unwrap_or_default()
    }

    /// Whether all of each row is wanted.
    pub(crate) fn wants_rows(&self) -> bool {
        self.wanted.is_empty()
    }

    /// `n`.
    pub fn tokens(&self) -> usize {
        self.token_ids.len()
    }

    /// `s`.
    pub fn sequences(&self) -> usize {
        self.offsets.len() - 1
    }

    /// `[n]`.
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// `[n]`.
    pub fn token_types(&self) -> &[u32] {
        &self.token_types
    }

    /// Each token's place in its sequence, `[n]`.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Each token's place in its sequence, counted from `first`; tokens equal to `padding` are not counted, and are at
    /// that place themselves. `[n]`.
    pub fn positions_from(&self, first: u32, padding: Option<u32>) -> Vec<u32> {
        let count = |(sequence, span): (usize, Range<usize>)| {
            let mut next = first.saturating_add(u32::try_from(self.past(sequence)).unwrap_or(u32::MAX));
            self.token_ids[span].iter().map(move |id| match padding {
                Some(padding) if padding == *id => padding,
                _ => {
                    next = next.saturating_add(1);
                    next - 1
                }
            })
        };
        self.spans().enumerate().flat_map(count).collect()
    }

    /// Where sequences begin and the last one ends, `[s + 1]`.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The tokens of each sequence.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The rows asked for, `[r]`.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
}
