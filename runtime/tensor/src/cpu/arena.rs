//! The memory of a run.
//!
//! Values live in slots; values that are never needed at the same time share one. A slot grows to what the largest batch
//! needs.

use runtime_graph::{Dim, Relative, bias_row, disentangled_row};
use runtime_kernels::{AttentionScratch, Buffer, Columns, Quantized, Routing};

use super::adapter::Adapting;
use super::{Counting, Ids, count};
use crate::Batch;

/// Where a value is: some columns of a matrix in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) slot: usize,
    pub(super) rows: Dim,
    /// Columns of the matrix.
    pub(super) width: usize,
    /// The first column of the value.
    pub(super) first: usize,
    /// Columns of the value.
    pub(super) columns: usize,
}

/// A table of what distances of tokens add to scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Distances {
    pub(super) relative: Relative,
    /// The vector of a bias table, `[buckets, heads]`.
    pub(super) vector: Option<usize>,
    pub(super) heads: usize,
    /// Rows of the tables.
    pub(super) rows: usize,
    pub(super) causal: bool,
}

/// Angles of a rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Angles {
    pub(super) frequencies: Vec<f64>,
    pub(super) factor: f64,
}

/// What steps need memory for.
#[derive(Clone, Default)]
pub(super) struct Layout {
    /// Rows and columns of the slots.
    pub(super) slots: Vec<(Dim, usize)>,
    pub(super) countings: Vec<Counting>,
    pub(super) distances: Vec<Distances>,
    pub(super) angles: Vec<Angles>,
}

/// The memory of one run at a time.
pub(super) struct Arena {
    pub(super) slots: Vec<Buffer>,
    counted: Vec<Vec<u32>>,
    pub(super) distances: Vec<DistanceTable>,
    pub(super) angles: Vec<AngleTable>,
    pub(super) quantized: Quantized,
    pub(super) attention: AttentionScratch,
    /// The experts of the mixture that is being computed.
    pub(super) routing: Routing,
    pub(super) adapting: Adapting,
}

/// By distance, from `-reach` to `reach`.
#[derive(Default)]
pub(super) struct DistanceTable {
    pub(super) reach: usize,
    /// `[2 * reach + 1]` by `query - key`, or by `key - query` for a bias.
    pub(super) rows: Vec<u32>,
    /// `[heads, 2 * reach + 1]`, filled when the plan's vectors are at hand.
    pub(super) bias: Vec<f32>,
}

/// By position: cosines and sines, `[positions, frequencies]`.
#[derive(Default)]
pub(super) struct AngleTable {
    pub(super) cosines: Vec<f32>,
    pub(super) sines: Vec<f32>,
}

impl Arena {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            slots: layout.slots.iter().map(|_| Buffer::default()).collect(),
            counted: layout.countings.iter().map(|_| Vec::new()).collect(),
            distances: layout.distances.iter().map(|_| DistanceTable::default()).collect(),
            angles: layout.angles.iter().map(|_| AngleTable::default()).collect(),
            quantized: Quantized::new(),
            attention: AttentionScratch::default(),
            routing: Routing::default(),
            adapting: Adapting::default(),
        }
    }

    /// Makes room for a batch, and prepares what depends on its lengths.
    pub(super) fn fit(&mut self, layout: &Layout, batch: &Batch) {
        for (slot, (rows, width)) in self.slots.iter_mut().zip(&layout.slots) {
            slot.fit(count(batch, *rows) * width);
        }
        for (positions, (first, padding)) in self.counted.iter_mut().zip(&layout.countings) {
            positions.clear();
            positions.extend(batch.positions_from(*first, *padding));
        }
        self.adapting.fit(batch);
        let longest = batch.longest();
        for (table, distances) in self.distances.iter_mut().zip(&layout.distances) {
            if longest > table.reach {
                table.fill(distances, longest);
            }
        }
        for (table, angles) in self.angles.iter_mut().zip(&layout.angles) {
            table.fill(angles, longest);
        }
    }

    /// The indices of an input.
    pub(super) fn ids<'a>(&'a self, batch: &'a Batch, ids: Ids) -> &'a [u32] {
        match ids {
            Ids::Tokens => batch.token_ids(),
            Ids::Types => batch.token_types(),
            Ids::Positions => batch.positions(),
            Ids::Counted(number) => &self.counted[number],
        }
    }

    /// A value that has its matrix to itself.
    pub(super) fn whole(&self, home: Home, batch: &Batch) -> &[f32] {
        &self.slots[home.slot][..count(batch, home.rows) * home.width]
    }

    /// A value as columns of its matrix.
    pub(super) fn columns(&self, home: Home, batch: &Batch) -> Columns<'_> {
        Columns { x: self.whole(home, batch), stride: home.width, first: home.first }
    }
}

impl DistanceTable {
    fn fill(&mut self, distances: &Distances, longest: usize) {
        self.reach = longest.next_power_of_two();
        let reach = i64::try_from(self.reach).unwrap_or(i64::MAX);
        let rows = u32::try_from(distances.rows).unwrap_or(u32::MAX);
        let row = |distance| match distances.relative {
            Relative::Bias { max_distance } => bias_row(distance, rows, max_distance, distances.causal),
            Relative::Disentangled { max_distance, .. } => disentangled_row(distance, rows / 2, max_distance),
        };
        self.rows = (-reach..=reach).map(row).collect();
        self.bias.clear();
    }

    /// Spreads a table `[buckets, heads]` out over the distances.
    pub(super) fn spread(&mut self, table: &[f32], heads: usize) {
        if self.bias.is_empty() {
            let rows = &self.rows;
            let of_head = |head| rows.iter().map(move |row| table[*row as usize * heads + head]);
            self.bias = (0..heads).flat_map(of_head).collect();
        }
    }
}

impl AngleTable {
    /// Angles in single precision, as transformers computes them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
    fn fill(&mut self, angles: &Angles, positions: usize) {
        let known = self.cosines.len() / angles.frequencies.len();
        if positions <= known {
            return;
        }
        let factor = angles.factor as f32;
        for position in known..positions.next_power_of_two() {
            for frequency in &angles.frequencies {
                let (sine, cosine) = (position as f32 * *frequency as f32).sin_cos();
                self.sines.push(sine * factor);
                self.cosines.push(cosine * factor);
            }
        }
    }
}
