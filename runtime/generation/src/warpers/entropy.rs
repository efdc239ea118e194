//! Warpers that measure what they keep by the entropy of the distribution.

use super::{Candidate, Scratch, softmax};
use crate::numbers::narrow;
use crate::top::{Entry, descending};

/// Tokens that top-h looks at, as in transformers.
const TOP_H_TOKENS: usize = 100;

/// In nats, of candidates whose probabilities are set.
pub(super) fn entropy(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| information(f64::from(candidate.prob))).sum()
}

fn information(probability: f64) -> f64 {
    if probability > 0.0 { -probability * probability.ln() } else { 0.0 }
}

/// Of the 100 likeliest, those whose cumulative entropy, the likeliest first, is at most `share` of that of all 100
/// (`TopHLogitsWarper`, <https://arxiv.org/abs/2509.02510>).
pub(super) fn top_h(candidates: &mut Vec<Candidate>, share: f64, scratch: &mut Scratch) {
    let scores = candidates.iter().map(|candidate| candidate.score);
    let head = scratch.top.of(scores, TOP_H_TOKENS);
    let highest = head.first().map_or(0.0, |entry| entry.score);
    let weight = |entry: &Entry| f64::from(if entry.score == highest { 1.0 } else { (entry.score - highest).exp() });
    let total: f64 = head.iter().map(weight).sum();
    let terms = head.iter().map(|entry| information(weight(entry) / total));
    let bound = narrow(terms.clone().sum::<f64>() * share);
    let mut sum = 0.0;
    let fits = terms.take_while(|term| {
        sum += term;
        narrow(sum) <= bound
    });
    let kept = fits.count().clamp(1, head.len().max(1));
    let Some(last) = head.get(kept - 1).copied() else { return };
    let mut place = 0;
    candidates.retain(|candidate| {
        let entry = Entry { score: candidate.score, index: place };
        place += 1;
        descending(&entry, &last).is_le()
    });
}

/// The tokens whose information is nearest to the entropy and that make up `mass`, with all as near as the last of them
/// (`TypicalLogitsWarper`, <https://arxiv.org/abs/2202.00666>).
pub(super) fn typical_p(candidates: &mut Vec<Candidate>, mass: f32, least: usize, scratch: &mut Scratch) {
    softmax(candidates);
    let entropy = narrow(entropy(candidates));
    let highest = candidates.iter().map(|candidate| candidate.score).fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = candidates.iter().map(|candidate| f64::from((candidate.score - highest).exp())).sum();
    let total = f64::from(highest) + sum.ln();
    let distance = |candidate: &Candidate| (narrow(total - f64::from(candidate.score)) - entropy).abs();
    let entries = &mut scratch.entries;
    entries.clear();
    // The nearest have the highest negative distance.
    let negative = |(index, candidate): (usize, &Candidate)| Entry { score: -distance(candidate), index };
    entries.extend(candidates.iter().enumerate().map(negative));
    entries.sort_unstable_by(descending);
    let mut cumulative = 0.0_f64;
    let below = entries.iter().take_while(|entry| {
        cumulative += f64::from(candidates[entry.index].prob);
        narrow(cumulative) < mass
    });
    let last = below.count().min(entries.len().saturating_sub(1));
    // The `least` first in order stay; then all that are no further than the last.
    let last = last.max(least.saturating_sub(1)).min(entries.len().saturating_sub(1));
    let Some(floor) = entries.get(last).copied() else { return };
    candidates.retain(|candidate| -distance(candidate) >= floor.score);
}
