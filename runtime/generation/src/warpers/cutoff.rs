//! Warpers that keep what is at or above a score or a probability.

use super::left::Left;
use crate::top::Top;

/// The `kept` highest scores, and all that tie with the last of them (`TopKLogitsWarper`).
pub(super) fn top_k(left: &mut Left, kept: usize, top: &mut Top) {
    let floor = floor(left, kept, top);
    left.retain(|left, place| left.scores[place] >= floor);
}

/// Probabilities of at least `share` of the highest (`MinPLogitsWarper`, <https://arxiv.org/abs/2407.01082>).
pub(super) fn min_p(left: &mut Left, share: f32, least: usize, top: &mut Top) {
    left.weigh();
    let floor = floor(left, least, top);
    // The highest has the weight 1.
    left.retain(|left, place| left.weights[place] >= share || left.scores[place] >= floor);
}

/// Probabilities of at least `epsilon` (`EpsilonLogitsWarper`, <https://arxiv.org/abs/2210.15191>).
pub(super) fn epsilon(left: &mut Left, epsilon: f32, least: usize, top: &mut Top) {
    left.weigh();
    keep(left, epsilon, least, top);
}

/// Probabilities of at least `min(epsilon, sqrt(epsilon) * exp(-entropy))` (`EtaLogitsWarper`, of the same authors).
pub(super) fn eta(left: &mut Left, epsilon: f32, least: usize, top: &mut Top) {
    left.weigh();
    let width = crate::numbers::narrow(-left.entropy()).exp();
    keep(left, epsilon.min(epsilon.sqrt() * width), least, top);
}

fn keep(left: &mut Left, bound: f32, least: usize, top: &mut Top) {
    let floor = floor(left, least, top);
    left.retain(|left, place| left.prob(place) >= bound || left.scores[place] >= floor);
}

/// The lowest of the `kept` highest scores.
fn floor(left: &Left, kept: usize, top: &mut Top) -> f32 {
    top.threshold(&left.scores, kept).unwrap_or(f32::NEG_INFINITY)
}
