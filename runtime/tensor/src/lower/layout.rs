//! Where values are, and what a run needs to know before its steps.

use std::ops::Range;

use runtime_graph::{Dim, Input, Relative};

use crate::Batch;

/// Where a value is: some columns of a matrix in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) slot: usize,
    pub(crate) rows: Dim,
    /// Columns of the matrix.
    pub(crate) width: usize,
    /// The first column of the value.
    pub(crate) first: usize,
    /// Columns of the value.
    pub(crate) columns: usize,
}

/// A table of what distances of tokens add to scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Distances {
    pub(crate) relative: Relative,
    /// The vector of a bias table, `[buckets, heads]`.
    pub(crate) vector: Option<usize>,
    pub(crate) heads: usize,
    /// Rows of the tables.
    pub(crate) rows: usize,
    pub(crate) causal: bool,
}

/// Angles of a rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Angles {
    pub(crate) frequencies: Vec<f64>,
    pub(crate) factor: f64,
}

/// What steps need memory for.
#[derive(Clone, Default)]
pub(crate) struct Layout {
    /// Rows and columns of the slots.
    pub(crate) slots: Vec<(Dim, usize)>,
    pub(crate) countings: Vec<Counting>,
    pub(crate) distances: Vec<Distances>,
    pub(crate) angles: Vec<Angles>,
}

/// How many rows a size of a batch stands for.
pub(crate) fn count(batch: &Batch, rows: Dim) -> usize {
    match rows {
        // Of sources and texts, which are computed apart, a batch holds one or the other.
        Dim::Tokens | Dim::Source => batch.tokens(),
        Dim::Sequences => batch.sequences(),
        Dim::Rows => batch.rows().len(),
        Dim::Fixed(rows) => rows as usize,
    }
}

/// Positions other than the batch's own.
pub(crate) type Counting = (u32, Option<u32>);

/// Where a plan has the indices of an input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Tokens,
    Types,
    Positions,
    /// Positions that are counted in another way, by their number in [`Layout::countings`].
    Counted(usize),
}

impl Ids {
    pub(crate) fn new(input: Input, countings: &mut Vec<Counting>) -> Self {
        match input {
            Input::TokenIds | Input::SourceIds => Self::Tokens,
            Input::TokenTypes => Self::Types,
            Input::Positions { first: 0, padding: None } | Input::SourcePositions { first: 0, padding: None } => {
                Self::Positions
            }
            Input::Positions { first, padding } | Input::SourcePositions { first, padding } => {
                let known = countings.iter().position(|counting| *counting == (first, padding));
                Self::Counted(known.unwrap_or_else(|| {
                    countings.push((first, padding));
                    countings.len() - 1
                }))
            }
        }
    }
}

/// Some rows of a weight, as a product holds them.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The weight's name, where it is one.
    pub(crate) weight: Option<String>,
    /// Outputs of the weight.
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// Those that this product has.
    pub(crate) rows: Range<usize>,
}
