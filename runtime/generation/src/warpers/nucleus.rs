//! Top-p: the likeliest tokens that make up a probability (<https://arxiv.org/abs/1904.09751>).

use std::cmp::Ordering;

use super::Scratch;
use super::histogram::Histogram;
use super::left::Left;
use crate::numbers::{count, index, narrow};
use crate::passes::sum;
use crate::top::Entry;

/// Drops the tokens whose cumulative probability, from the smallest up, is at most `1 - mass`; of equal ones those with
/// the lower ids first. Keeps the `least` likeliest (`TopPLogitsWarper`).
pub(super) fn top_p(left: &mut Left, mass: f64, least: usize, scratch: &mut Scratch) {
    left.weigh();
    let Scratch { entries, histogram, .. } = scratch;
    let dropped = narrow(1.0 - mass);
    if least == 1 {
        // Even if all weighed as much as this, they could be dropped together.
        left.retain_heavy(0.5 * dropped * narrow(left.total / count(left.len())));
    }
    let lighter = left.total - sum(&left.weights);
    let crossed = |below: f64| narrow(below / left.total) > dropped;
    let entry = |place: usize| Entry { score: left.scores[place], index: index(left.ids[place]) };
    let bucket = |place: usize| Histogram::bucket(left.highest - left.scores[place]);

    let keys = left.scores.iter().map(|score| left.highest - score);
    histogram.fill(keys.zip(left.weights.iter().copied()));
    let (crossing, mut below) = histogram.down(lighter, crossed);
    let near = || (0..left.len()).filter(|place| bucket(*place) == crossing);
    entries.clear();
    entries.extend(near().map(|place| Entry { score: left.scores[place], index: place }));
    entries.sort_unstable_by(last_first);
    let last = entries.iter().rev().find(|entry| {
        below += f64::from(left.weights[entry.index]);
        crossed(below)
    });
    let last = last.map(|last| entry(last.index));

    let is_kept = |place: usize, last: &Entry| last_first(&entry(place), last) != Ordering::Greater;
    let enough = |last: &Entry| least == 1 || (0..left.len()).filter(|place| is_kept(*place, last)).count() >= least;
    let last = last.filter(enough).or_else(|| {
        entries.clear();
        entries.extend((0..left.len()).map(entry));
        let last = least.min(entries.len()).checked_sub(1)?;
        Some(*entries.select_nth_unstable_by(last, last_first).1)
    });
    if let Some(last) = last {
        left.retain(|left, place| {
            let entry = Entry { score: left.scores[place], index: index(left.ids[place]) };
            last_first(&entry, &last) != Ordering::Greater
        });
    }
}

/// The highest first; of equal scores the last, since a stable sort upwards puts it last.
fn last_first(a: &Entry, b: &Entry) -> Ordering {
    b.score.total_cmp(&a.score).then(b.index.cmp(&a.index))
}
