//! Top-p: the likeliest tokens that make up a probability (<https://arxiv.org/abs/1904.09751>).

use std::cmp::Ordering;

use super::{Candidate, Scratch, softmax};
use crate::numbers::{index, narrow};
use crate::top::Entry;

/// How many of the likeliest are looked at first; most distributions have their mass in far fewer.
const FIRST: usize = 512;

/// Drops the candidates whose cumulative probability, from the smallest up, is at most `1 - mass`; of equal ones those
/// with the lower ids first. Keeps the `least` likeliest (`TopPLogitsWarper`).
pub(super) fn top_p(candidates: &mut Vec<Candidate>, mass: f64, least: usize, scratch: &mut Scratch) {
    softmax(candidates);
    let entries = &mut scratch.entries;
    entries.clear();
    let entry = |candidate: &Candidate| Entry { score: candidate.score, index: index(candidate.id) };
    entries.extend(candidates.iter().map(entry));
    let highest = entries.iter().map(|entry| entry.score).fold(f32::NEG_INFINITY, f32::max);
    let weight = |entry: &Entry| f64::from(if entry.score == highest { 1.0 } else { (entry.score - highest).exp() });
    let total: f64 = entries.iter().map(weight).sum();
    let dropped = narrow(1.0 - mass);

    // What is below the head is dropped as a whole, once it is light enough; otherwise the head grows.
    let mut head = FIRST.max(least);
    let mut below = loop {
        if head >= entries.len() {
            head = entries.len();
            break 0.0;
        }
        entries.select_nth_unstable_by(head - 1, last_first);
        let below = total - entries[..head].iter().map(weight).sum::<f64>();
        if narrow(below / total) <= dropped {
            break below;
        }
        head *= 8;
    };
    let head = &mut entries[..head];
    head.sort_unstable_by(last_first);
    let mut kept = head.len();
    for entry in head.iter().rev() {
        below += weight(entry);
        if narrow(below / total) > dropped {
            break;
        }
        kept -= 1;
    }
    let kept = kept.max(least).min(head.len());
    let Some(last) = head.get(kept - 1).copied() else { return };
    candidates.retain(|candidate| last_first(&entry(candidate), &last) != Ordering::Greater);
}

/// The highest first; of equal scores the last, since a stable sort upwards puts it last.
fn last_first(a: &Entry, b: &Entry) -> Ordering {
    b.score.total_cmp(&a.score).then(b.index.cmp(&a.index))
}
