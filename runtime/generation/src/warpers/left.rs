//! The tokens that are left, in columns, so that passes over them are fast.

use super::{Candidate, Scratch};
use crate::Shortlist;
use crate::numbers::{index, narrow, token};
use crate::passes::{for_chunks_with, highest, weights};
use crate::top::{Entry, Top};

/// Tokens by id, with their scores. The memory is kept from row to row.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    pub(super) ids: Vec<u32>,
    pub(super) scores: Vec<f32>,
    /// `exp(score - highest)`, after [`Left::weigh`].
    pub(super) weights: Vec<f32>,
    pub(super) highest: f32,
    /// The sum of the weights.
    pub(super) total: f64,
}

impl Left {
    /// All but those of `-inf`, their scores divided by `temperature`.
    pub(super) fn fill(&mut self, scores: &[f32], temperature: f32) {
        self.fill_from(scores, temperature, f32::MIN, f32::NEG_INFINITY);
    }

    /// The `kept` highest and all that tie with the last of them.
    pub(super) fn fill_top(&mut self, scores: &[f32], temperature: f32, kept: usize, top: &mut Top) {
        let floor = top.threshold(scores, kept).unwrap_or(f32::NEG_INFINITY);
        // Scores that differ may be equal once they are divided.
        self.fill_from(scores, temperature, floor - floor.abs() * 1e-6, floor / temperature);
    }

    /// Those of the listed scores that are at least `floor` once both are divided.
    pub(super) fn fill_listed(&mut self, list: Shortlist<'_>, temperature: f32, floor: f32, scratch: &mut Scratch) {
        let entries = &mut scratch.entries;
        let floor = floor / temperature;
        let divided = list.entries().map(|(token, score)| Entry { score: score / temperature, index: index(token) });
        entries.clear();
        entries.extend(divided.filter(|entry| entry.score >= floor && entry.score > f32::NEG_INFINITY));
        entries.sort_unstable_by_key(|entry| entry.index);
        self.ids.clear();
        self.ids.extend(entries.iter().map(|entry| token(entry.index)));
        self.scores.clear();
        self.scores.extend(entries.iter().map(|entry| entry.score));
    }

    fn fill_from(&mut self, scores: &[f32], temperature: f32, bound: f32, floor: f32) {
        let mut kept = 0;
        for_chunks_with(scores, bound, |start, chunk| {
            if self.ids.len() < kept + chunk.len() {
                let room = (kept + chunk.len()).next_power_of_two();
                self.ids.resize(room, 0);
                self.scores.resize(room, 0.0);
            }
            // Each is written and only some are kept, which is faster than a jump that cannot be foreseen.
            let (ids, left) = (&mut self.ids[kept..], &mut self.scores[kept..]);
            let mut here = 0;
            for (place, score) in (start..).zip(chunk) {
                let score = score / temperature;
                (ids[here], left[here]) = (token(place), score);
                here += usize::from(score >= floor && score > f32::NEG_INFINITY);
            }
            kept += here;
        });
        self.ids.truncate(kept);
        self.scores.truncate(kept);
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Sets the weights, by which probabilities are `weight / total`.
    pub(super) fn weigh(&mut self) {
        self.highest = highest(&self.scores);
        self.total = weights(&self.scores, self.highest, &mut self.weights);
    }

    /// The probability of the token at a place.
    pub(super) fn prob(&self, place: usize) -> f32 {
        narrow(f64::from(self.weights[place]) / self.total)
    }

    /// The logarithm of the sum of `exp(score)`.
    pub(super) fn log_total(&self) -> f64 {
        f64::from(self.highest) + self.total.ln()
    }

    /// The entropy of the probabilities, in nats: `ln(total) - sum(weight * (score - highest)) / total`.
    pub(super) fn entropy(&self) -> f64 {
        let term = |(score, weight): (&f32, &f32)| {
            if *weight > 0.0 && score < &self.highest { f64::from(weight * (score - self.highest)) } else { 0.0 }
        };
        self.total.ln() - self.scores.iter().zip(&self.weights).map(term).sum::<f64>() / self.total
    }

    /// Keeps those at the places that `keep` accepts, which may look at this place only. The weights are stale then.
    pub(super) fn retain(&mut self, keep: impl Fn(&Self, usize) -> bool) {
        let mut kept = 0;
        for place in 0..self.len() {
            let is_kept = keep(self, place);
            self.ids[kept] = self.ids[place];
            self.scores[kept] = self.scores[place];
            kept += usize::from(is_kept);
        }
        self.ids.truncate(kept);
        self.scores.truncate(kept);
    }

    /// Keeps those with a weight above `bound`, and their weights; `total` stays as it was.
    pub(super) fn retain_heavy(&mut self, bound: f32) {
        let mut kept = 0;
        for place in 0..self.len() {
            let weight = self.weights[place];
            (self.ids[kept], self.scores[kept], self.weights[kept]) = (self.ids[place], self.scores[place], weight);
            kept += usize::from(weight > bound);
        }
        self.ids.truncate(kept);
        self.scores.truncate(kept);
        self.weights.truncate(kept);
    }

    /// Writes what is left with its probabilities.
    pub(super) fn list(&mut self, renormalize: bool, candidates: &mut Vec<Candidate>) {
        self.weigh();
        let (share, total) = (1.0 / self.total, self.log_total());
        candidates.clear();
        let columns = self.ids.iter().zip(&self.scores).zip(&self.weights);
        candidates.extend(columns.map(|((id, score), weight)| {
            let score = if renormalize { narrow(f64::from(*score) - total) } else { *score };
            Candidate { id: *id, score, prob: narrow(f64::from(*weight) * share) }
        }));
    }
}
