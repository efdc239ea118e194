//! What a run prepares on the host: positions, and tables by distance and by position, which grow with the longest
//! sequence.

use runtime_graph::{Relative, bias_row, disentangled_row};

use super::layout::{Angles, Distances, Ids, Layout};
use crate::Batch;

/// What steps need of a batch and its lengths.
pub(crate) struct Tables {
    counted: Vec<Vec<u32>>,
    pub(crate) distances: Vec<DistanceTable>,
    pub(crate) angles: Vec<AngleTable>,
}

impl Tables {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            counted: layout.countings.iter().map(|_| Vec::new()).collect(),
            distances: layout.distances.iter().map(|_| DistanceTable::default()).collect(),
            angles: layout.angles.iter().map(|_| AngleTable::default()).collect(),
        }
    }

    pub(crate) fn fit(&mut self, layout: &Layout, batch: &Batch) {
        for (positions, (first, padding)) in self.counted.iter_mut().zip(&layout.countings) {
            positions.clear();
            positions.extend(batch.positions_from(*first, *padding));
        }
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
    pub(crate) fn ids<'a>(&'a self, batch: &'a Batch, ids: Ids) -> &'a [u32] {
        match ids {
            Ids::Tokens => batch.token_ids(),
            Ids::Types => batch.token_types(),
            Ids::Positions => batch.positions(),
            Ids::Counted(number) => &self.counted[number],
        }
    }
}

/// By distance, from `-reach` to `reach`.
#[derive(Default)]
pub(crate) struct DistanceTable {
    pub(crate) reach: usize,
    /// `[2 * reach + 1]` by `query - key`, or by `key - query` for a bias.
    pub(crate) rows: Vec<u32>,
    /// Whether a row is the distance itself, which slopes are multiplied with.
    is_linear: bool,
    /// `[heads, 2 * reach + 1]`, filled when the plan's vectors are at hand.
    pub(crate) bias: Vec<f32>,
}

/// By position: cosines and sines, `[positions, frequencies]`.
#[derive(Default)]
pub(crate) struct AngleTable {
    pub(crate) cosines: Vec<f32>,
    pub(crate) sines: Vec<f32>,
}

impl DistanceTable {
    fn fill(&mut self, distances: &Distances, longest: usize) {
        self.reach = longest.next_power_of_two();
        let reach = i64::try_from(self.reach).unwrap_or(i64::MAX);
        let rows = u32::try_from(distances.rows).unwrap_or(u32::MAX);
        self.is_linear = distances.relative == Relative::Alibi;
        let row = |distance: i64| match distances.relative {
            Relative::Alibi => u32::try_from(distance.unsigned_abs()).unwrap_or(u32::MAX),
            Relative::Bias { max_distance } => bias_row(distance, rows, max_distance, distances.causal),
            Relative::Disentangled { max_distance, .. } => disentangled_row(distance, rows / 2, max_distance),
        };
        self.rows = (-reach..=reach).map(row).collect();
        self.bias.clear();
    }

    /// Spreads a table `[buckets, heads]` out over the distances, or slopes `[heads]`.
    #[expect(clippy::cast_precision_loss, reason = "distances are lengths of texts, far below 2^24")]
    pub(crate) fn spread(&mut self, table: &[f32], heads: usize) {
        if self.bias.is_empty() {
            let (rows, is_linear) = (&self.rows, self.is_linear);
            let number = |row: u32, head: usize| match is_linear {
                true => -table[head] * row as f32,
                false => table[row as usize * heads + head],
            };
            self.bias = (0..heads).flat_map(|head| rows.iter().map(move |row| number(*row, head))).collect();
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
