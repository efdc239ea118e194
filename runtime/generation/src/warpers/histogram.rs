//! Sums of weights by a key, with which a cumulative sum crosses a bound: only what is near the crossing is sorted.

/// Sums in steps of a 64th up to 64; the last bucket holds all that is further.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    sums: Vec<f64>,
}

const STEPS: f32 = 64.0;
const BUCKETS: usize = 4096;

impl Histogram {
    /// Sums weights by keys of at least 0. What is no number has the key 0.
    pub(super) fn fill(&mut self, weighed: impl Iterator<Item = (f32, f32)>) {
        self.sums.clear();
        self.sums.resize(BUCKETS, 0.0);
        for (key, weight) in weighed {
            self.sums[Self::bucket(key)] += f64::from(weight);
        }
    }

    pub(super) fn bucket(key: f32) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, which is what is meant"
        )]
        let bucket = (key * STEPS) as usize;
        bucket.min(BUCKETS - 1)
    }

    /// The first bucket from the lowest keys up with which `crossed` holds of the sum, and the sum before it; the last
    /// bucket where it never does.
    pub(super) fn up(&self, crossed: impl Fn(f64) -> bool) -> (usize, f64) {
        Self::walk(self.sums.iter().copied().enumerate(), 0.0, crossed).unwrap_or((BUCKETS - 1, 0.0))
    }

    /// The same from the highest keys down, with a sum of `before` at first.
    pub(super) fn down(&self, before: f64, crossed: impl Fn(f64) -> bool) -> (usize, f64) {
        Self::walk(self.sums.iter().copied().enumerate().rev(), before, crossed).unwrap_or((0, 0.0))
    }

    fn walk(
        sums: impl Iterator<Item = (usize, f64)>,
        mut before: f64,
        crossed: impl Fn(f64) -> bool,
    ) -> Option<(usize, f64)> {
        let mut last = None;
        for (bucket, sum) in sums {
            // What is empty holds nothing that crosses.
            if sum == 0.0 {
                continue;
            }
            last = Some((bucket, before));
            if crossed(before + sum) {
                break;
            }
            before += sum;
        }
        last
    }
}
