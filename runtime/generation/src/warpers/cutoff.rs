//! Warpers that keep what is at or above a score or a probability.

use super::{Candidate, Scratch, softmax};

/// The `kept` highest scores, and all that tie with the last of them (`TopKLogitsWarper`).
pub(super) fn top_k(candidates: &mut Vec<Candidate>, kept: usize, scratch: &mut Scratch) {
    let floor = floor(candidates, kept, scratch);
    candidates.retain(|candidate| candidate.score >= floor);
}

/// Probabilities of at least `share` of the highest (`MinPLogitsWarper`, <https://arxiv.org/abs/2407.01082>).
pub(super) fn min_p(candidates: &mut Vec<Candidate>, share: f32, least: usize, scratch: &mut Scratch) {
    softmax(candidates);
    let highest = candidates.iter().map(|candidate| candidate.prob).fold(0.0, f32::max);
    keep(candidates, share * highest, least, scratch);
}

/// Probabilities of at least `epsilon` (`EpsilonLogitsWarper`, <https://arxiv.org/abs/2210.15191>).
pub(super) fn epsilon(candidates: &mut Vec<Candidate>, epsilon: f32, least: usize, scratch: &mut Scratch) {
    softmax(candidates);
    keep(candidates, epsilon, least, scratch);
}

/// Keeps probabilities of at least `bound`, and the `least` highest scores.
fn keep(candidates: &mut Vec<Candidate>, bound: f32, least: usize, scratch: &mut Scratch) {
    let floor = floor(candidates, least, scratch);
    candidates.retain(|candidate| candidate.prob >= bound || candidate.score >= floor);
}

fn floor(candidates: &[Candidate], kept: usize, scratch: &mut Scratch) -> f32 {
    let scores = candidates.iter().map(|candidate| candidate.score);
    scratch.top.threshold(scores, kept).unwrap_or(f32::NEG_INFINITY)
}
