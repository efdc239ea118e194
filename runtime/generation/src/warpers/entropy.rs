//! Warpers that measure what they keep by the entropy of the distribution.

use super::Scratch;
use super::histogram::Histogram;
use super::left::Left;
use crate::numbers::narrow;
use crate::top::{Entry, Top, descending};

/// Tokens that top-h looks at, as in transformers.
pub(super) const TOP_H_TOKENS: usize = 100;

/// Of the 100 likeliest, those whose cumulative entropy, the likeliest first, is at most `share` of that of all 100
/// (`TopHLogitsWarper`, <https://arxiv.org/abs/2509.02510>).
pub(super) fn top_h(left: &mut Left, share: f64, top: &mut Top) {
    let head = top.of(&left.scores, TOP_H_TOKENS);
    let highest = head.first().map_or(0.0, |entry| entry.score);
    let weight = |entry: &Entry| f64::from(if entry.score == highest { 1.0 } else { (entry.score - highest).exp() });
    let total: f64 = head.iter().map(weight).sum();
    let information = |prob: f64| if prob > 0.0 { -prob * prob.ln() } else { 0.0 };
    let terms = head.iter().map(|entry| information(weight(entry) / total));
    let bound = narrow(terms.clone().sum::<f64>() * share);
    let mut sum = 0.0;
    let fits = terms.take_while(|term| {
        sum += term;
        narrow(sum) <= bound
    });
    let kept = fits.count().clamp(1, head.len().max(1));
    let Some(last) = head.get(kept - 1).copied() else { return };
    left.retain(|left, index| descending(&Entry { score: left.scores[index], index }, &last).is_le());
}

/// The tokens whose information is nearest to the entropy and that make up `mass`, with all as near as the last of them
/// (`TypicalLogitsWarper`, <https://arxiv.org/abs/2202.00666>).
pub(super) fn typical_p(left: &mut Left, mass: f32, least: usize, scratch: &mut Scratch) {
    left.weigh();
    let Scratch { entries, histogram, top } = scratch;
    let (entropy, total) = (narrow(left.entropy()), left.log_total());
    let distance = |score: f32| (narrow(total - f64::from(score)) - entropy).abs();
    let crossed = |sum: f64| narrow(sum / left.total) >= mass;

    histogram.fill(left.scores.iter().map(|score| distance(*score)).zip(left.weights.iter().copied()));
    let (crossing, mut sum) = histogram.up(crossed);
    entries.clear();
    let places = (0..left.len()).filter(|place| Histogram::bucket(distance(left.scores[*place])) == crossing);
    // The nearest have the highest negative distance.
    entries.extend(places.map(|index| Entry { score: -distance(left.scores[index]), index }));
    entries.sort_unstable_by(descending);
    let last = entries.iter().find(|entry| {
        sum += f64::from(left.weights[entry.index]);
        crossed(sum)
    });
    let mut floor = last.or(entries.last()).map_or(f32::NEG_INFINITY, |last| last.score);
    if least > 1 {
        let negative: Vec<f32> = left.scores.iter().map(|score| -distance(*score)).collect();
        floor = top.threshold(&negative, least).map_or(floor, |least| floor.min(least));
    }
    left.retain(|left, place| -distance(left.scores[place]) >= floor);
}
