//! The highest of many numbers by selection, in one pass and without sorting them all.

use std::cmp::Ordering;

/// A score and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) score: f32,
    pub(crate) index: usize,
}

/// The best first; of equal scores, both zeros among them, the first.
pub(crate) fn descending(a: &Entry, b: &Entry) -> Ordering {
    // What is added makes one zero of both.
    (b.score + 0.0).total_cmp(&(a.score + 0.0)).then(a.index.cmp(&b.index))
}

/// Collects the highest of what is shown to it. The memory is kept between rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Top {
    entries: Vec<Entry>,
    wanted: usize,
    /// The lowest of the `wanted` highest so far, once there are as many.
    floor: Option<f32>,
}

impl Top {
    /// The `wanted` highest, the best first; all of them where there are no more.
    pub(crate) fn of(&mut self, scores: &[f32], wanted: usize) -> &[Entry] {
        self.begin(wanted);
        self.offer(scores, 0.0, 0);
        self.sorted()
    }

    /// The lowest of the `wanted` highest.
    pub(crate) fn threshold(&mut self, scores: &[f32], wanted: usize) -> Option<f32> {
        self.begin(wanted);
        self.offer(scores, 0.0, 0);
        self.cut();
        self.floor.or_else(|| self.entries.iter().map(|entry| entry.score).reduce(f32::min))
    }

    /// Forgets what was shown before.
    pub(crate) fn begin(&mut self, wanted: usize) {
        self.entries.clear();
        self.wanted = wanted.max(1);
        self.floor = None;
    }

    /// Shows `score + plus` for each of `scores`, the first of which stands at `start`; what stands further behind is
    /// shown later.
    pub(crate) fn offer(&mut self, scores: &[f32], plus: f32, start: usize) {
        const CHUNK: usize = 32;
        for (start, chunk) in (start..).step_by(CHUNK).zip(scores.chunks(CHUNK)) {
            // Once there are enough, only what beats the lowest of them comes in; an equal one comes later and loses.
            if let Some(floor) = self.floor {
                let mut beaten = false;
                for score in chunk {
                    beaten |= score + plus > floor;
                }
                if !beaten {
                    continue;
                }
            }
            for (index, score) in (start..).zip(chunk) {
                let score = score + plus;
                if self.floor.is_none_or(|floor| score > floor) {
                    self.entries.push(Entry { score, index });
                }
            }
            if self.entries.len() >= self.wanted.saturating_mul(2) {
                self.cut();
            }
        }
    }

    /// The highest of all that was shown, the best first.
    pub(crate) fn sorted(&mut self) -> &[Entry] {
        self.cut();
        self.entries.sort_unstable_by(descending);
        &self.entries
    }

    /// Keeps the `wanted` highest.
    fn cut(&mut self) {
        if self.entries.len() >= self.wanted {
            let (_, last, _) = self.entries.select_nth_unstable_by(self.wanted - 1, descending);
            self.floor = Some(last.score);
            self.entries.truncate(self.wanted);
        }
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
                assert_eq!(top.of(&scores, wanted), head, "{wanted} of {length}");
                let threshold = top.threshold(&scores, wanted);
                assert_eq!(threshold, head.last().map(|entry| entry.score));
                // Shown in parts, each with something added.
                let (first, second) = scores.split_at(length / 3);
                top.begin(wanted);
                top.offer(first, 0.0, 0);
                top.offer(&second.iter().map(|score| score - 5.0).collect::<Vec<_>>(), 5.0, length / 3);
                assert_eq!(top.sorted(), head);
            }
        }
    }
}
