//! Draws of tokens.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::Candidate;

/// A source of draws that belongs to one sequence, so that what it gives does not hang on the neighbours in a batch.
#[derive(Clone, Debug)]
pub struct Sampler(ChaCha8Rng);

impl Sampler {
    /// The same seed and sequence give the same draws, on any machine; `sequence` tells the `num_return_sequences` of a
    /// request apart. Without a seed each sampler is another.
    ///
    /// The draws are not those of torch, whose generator is not reproduced; the distribution is.
    pub fn new(seed: Option<u64>, sequence: u64) -> Self {
        let mut generator = seed.map_or_else(ChaCha8Rng::from_os_rng, ChaCha8Rng::seed_from_u64);
        generator.set_stream(sequence);
        Self(generator)
    }

    /// One of `candidates`, by their probabilities; `None` where there is none.
    pub fn draw(&mut self, candidates: &[Candidate]) -> Option<u32> {
        // Probabilities are rounded, so that they need not sum to 1 exactly.
        let sum = |some: &[Candidate]| some.iter().map(|candidate| f64::from(candidate.prob)).sum::<f64>();
        let total: f64 = candidates.chunks(8).map(sum).sum();
        let mut left = self.uniform() * total;
        let drawn = candidates.iter().find(|candidate| {
            left -= f64::from(candidate.prob);
            left < 0.0
        });
        drawn.or_else(|| candidates.iter().rfind(|candidate| candidate.prob > 0.0)).map(|candidate| candidate.id)
    }

    /// Evenly from 0, included, to 1, excluded.
    pub(crate) fn uniform(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0; // 2^53
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let steps = (self.0.next_u64() >> 11) as f64;
        steps / STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Candidate> {
        [(3, 0.5), (7, 0.0), (9, 0.3), (20, 0.2)].map(|(id, prob)| Candidate { id, score: 0.0, prob }).to_vec()
    }

    #[test]
    fn draws_come_as_often_as_probable() {
        let mut sampler = Sampler::new(Some(1), 0);
        let mut counts = [0_u32; 21];
        for _ in 0..40_000 {
            let drawn = sampler.draw(&candidates()).expect("there are candidates");
            counts[usize::try_from(drawn).expect("small")] += 1;
        }
        // Five standard deviations of a binomial draw.
        for (id, expected) in [(3, 20_000), (9, 12_000), (20, 8_000)] {
            assert!(i64::from(counts[id]).abs_diff(expected) < 500, "{id}: {}", counts[id]);
        }
        assert_eq!(counts[7], 0);
        assert_eq!(Sampler::new(Some(1), 0).draw(&[]), None);
    }

    #[test]
    fn a_seed_is_a_sequence_of_draws() {
        let draws = |seed, sequence| -> Vec<Option<u32>> {
            let mut sampler = Sampler::new(seed, sequence);
            (0..32).map(|_| sampler.draw(&candidates())).collect()
        };
        assert_eq!(draws(Some(5), 0), draws(Some(5), 0));
        assert_ne!(draws(Some(5), 0), draws(Some(5), 1));
        assert_ne!(draws(Some(5), 0), draws(Some(6), 0));
        assert_ne!(draws(None, 0), draws(None, 0));
    }
}
