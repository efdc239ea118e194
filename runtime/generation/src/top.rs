//! The highest of many numbers by selection, in one pass and without sorting them all.

use std::cmp::Ordering;

/// A score and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) score: f32,
    pub(crate) index: usize,
}

/// The best first; of equal scores, the first.
pub(crate) fn descending(a: &Entry, b: &Entry) -> Ordering {
    b.score.total_cmp(&a.score).then(a.index.cmp(&b.index))
}

/// Collects the highest of what is shown to it. The memory is kept between rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Top {
    entries: Vec<Entry>,
}

impl Top {
    /// The `wanted` highest, the best first; all of them where there are no more.
    pub(crate) fn of(&mut self, scores: impl Iterator<Item = f32>, wanted: usize) -> &[Entry] {
        self.gather(scores, wanted);
        self.entries.sort_unstable_by(descending);
        &self.entries
    }

    /// The lowest of the `wanted` highest.
    pub(crate) fn threshold(&mut self, scores: impl Iterator<Item = f32>, wanted: usize) -> Option<f32> {
        self.gather(scores, wanted);
        self.entries.iter().max_by(|a, b| descending(a, b)).map(|entry| entry.score)
    }

    fn gather(&mut self, scores: impl Iterator<Item = f32>, wanted: usize) {
        self.entries.clear();
        let wanted = wanted.max(1);
        let full = wanted.saturating_mul(2);
        // Once there are enough, only what beats the lowest of them comes in; an equal one comes later and loses.
        let mut floor = None;
        for (index, score) in scores.enumerate() {
            if floor.is_some_and(|floor| score <= floor) {
                continue;
            }
            self.entries.push(Entry { score, index });
            if self.entries.len() == full {
                floor = Some(self.cut(wanted));
            }
        }
        if self.entries.len() > wanted {
            self.cut(wanted);
        }
    }

    /// Keeps the `wanted` highest, and gives the lowest of them.
    fn cut(&mut self, wanted: usize) -> f32 {
        let (_, last, _) = self.entries.select_nth_unstable_by(wanted - 1, descending);
        let floor = last.score;
        self.entries.truncate(wanted);
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_head_of_the_sorted_list() {
        let mut top = Top::default();
        let mut state = 1_u32;
        for length in [1_usize, 5, 17, 400] {
            let scores: Vec<f32> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Few values, so that many are equal.
                    f32::from(u8::try_from(state >> 24).unwrap_or(0) / 16)
                })
                .collect();
            let mut sorted: Vec<Entry> =
                scores.iter().enumerate().map(|(index, score)| Entry { score: *score, index }).collect();
            sorted.sort_by(descending);
            for wanted in [1, 2, 3, 16, 399, 1000] {
                let head = &sorted[..wanted.min(length)];
                assert_eq!(top.of(scores.iter().copied(), wanted), head, "{wanted} of {length}");
                let threshold = top.threshold(scores.iter().copied(), wanted);
                assert_eq!(threshold, head.last().map(|entry| entry.score));
            }
        }
    }
}
