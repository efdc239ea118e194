//! Draws without replacement from the continuations of several beams.

use crate::Sampler;
use crate::passes::{exp, highest, sum};
use crate::top::{Entry, Top};

/// Weights of a block are summed, so that a draw looks at one block only.
const BLOCK: usize = 1024;

/// Memory that is kept from step to step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draws {
    weights: Vec<f32>,
    blocks: Vec<f64>,
}

impl Draws {
    /// `wanted` places among the scores of all rows, each drawn by `exp(score)` from those that are left. Each row comes
    /// with what is added to its scores. Where the others have no weight, the highest of them.
    pub(crate) fn draw(
        &mut self,
        rows: &[(&[f32], f32)],
        wanted: usize,
        sampler: &mut Sampler,
        top: &mut Top,
    ) -> Vec<Entry> {
        self.weigh(rows);
        let width = rows.first().map_or(1, |(row, _)| row.len()).max(1);
        let entry = |index: usize| Entry { score: rows[index / width].0[index % width] + rows[index / width].1, index };
        let mut drawn: Vec<Entry> = Vec::with_capacity(wanted);
        while drawn.len() < wanted
            && let Some(place) = self.one(sampler)
        {
            drawn.push(entry(place));
        }
        if drawn.len() < wanted {
            top.begin(wanted + drawn.len());
            for (number, (row, plus)) in rows.iter().enumerate() {
                top.offer(row, *plus, number * width);
            }
            let others = top.sorted().iter().filter(|other| !drawn.iter().any(|drawn| drawn.index == other.index));
            let others: Vec<Entry> = others.take(wanted - drawn.len()).copied().collect();
            drawn.extend(others);
        }
        drawn
    }

    fn weigh(&mut self, rows: &[(&[f32], f32)]) {
        let best = rows.iter().map(|(row, plus)| highest(row) + plus).fold(f32::NEG_INFINITY, f32::max);
        self.weights.clear();
        for (row, plus) in rows {
            self.weights.extend(row.iter().map(|score| exp(score + plus - best)));
        }
        self.blocks.clear();
        self.blocks.extend(self.weights.chunks(BLOCK).map(sum));
    }

    /// A place, which loses its weight; `None` where none has any.
    fn one(&mut self, sampler: &mut Sampler) -> Option<usize> {
        let mut left = sampler.uniform() * self.blocks.iter().sum::<f64>();
        let block = self.blocks.iter().position(|block| {
            left -= block;
            left < 0.0
        });
        let block = block.or_else(|| self.blocks.iter().rposition(|block| *block > 0.0))?;
        left += self.blocks[block];
        let start = block * BLOCK;
        let end = self.weights.len().min(start + BLOCK);
        let weights = &mut self.weights[start..end];
        let place = weights.iter().position(|weight| {
            left -= f64::from(*weight);
            left < 0.0
        });
        // Sums are rounded, so that the last may be missed.
        let place = place.or_else(|| weights.iter().rposition(|weight| *weight > 0.0))?;
        weights[place] = 0.0;
        self.blocks[block] = sum(weights);
        Some(start + place)
    }
}
