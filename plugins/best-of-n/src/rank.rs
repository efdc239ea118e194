//! The rule by which completions are ranked.
//!
//! `score = log p / length^length_penalty - repetition * repeated + consistency * nearness`, where `log p` is the model's
//! own for the whole completion, `repeated` the share of its phrases that it had before, and `nearness` the mean cosine
//! between it and the others (after self-consistency, Wang et al. 2022, for texts without one right answer).

use std::collections::HashSet;

/// Whole numbers of this size are exact.
pub(crate) fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// `log_probability / length^penalty`: with a penalty of 1 the mean of a token, with 0 that of the whole text, which
/// favours short ones.
pub(crate) fn normalised(log_probability: f64, length: usize, penalty: f64) -> f64 {
    log_probability / float(length.max(1)).powf(penalty)
}

/// The share of the phrases of `n` tokens that were there before: 0 where none is, near 1 for one token over and over.
pub(crate) fn repeated(tokens: &[u32], n: usize) -> f64 {
    let phrases = tokens.windows(n);
    let count = phrases.len();
    if count == 0 {
        return 0.0;
    }
    let distinct: HashSet<&[u32]> = phrases.collect();
    1.0 - float(distinct.len()) / float(count)
}

/// The mean cosine between each vector and the others; 0 for one that is alone.
pub(crate) fn nearness(vectors: &[Vec<f32>]) -> Vec<f64> {
    let unit = |vector: &Vec<f32>| {
        let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let scale = if norm > 0.0 && norm.is_finite() { 1.0 / norm } else { 0.0 };
        vector.iter().map(|x| f64::from(*x) * scale).collect::<Vec<f64>>()
    };
    let units: Vec<Vec<f64>> = vectors.iter().map(unit).collect();
    let cosine = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mean = |(at, vector): (usize, &Vec<f64>)| {
        let others = units.iter().enumerate().filter(|(other, _)| *other != at);
        let sum: f64 = others.map(|(_, other)| cosine(vector, other)).sum();
        sum / float(units.len().saturating_sub(1).max(1))
    };
    units.iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn the_rule_by_hand() {
        assert!(near(normalised(-6.0, 3, 1.0), -2.0) && near(normalised(-6.0, 3, 0.0), -6.0));
        assert!(near(normalised(-6.0, 9, 0.5), -2.0) && near(normalised(-6.0, 0, 1.0), -6.0));
        // Of 1 2, 2 1, 1 2, 2 3 one was there before.
        assert!(near(repeated(&[1, 2, 1, 2, 3], 2), 0.25) && near(repeated(&[7; 5], 1), 0.8));
        assert!(near(repeated(&[1, 2], 3), 0.0) && near(repeated(&[], 1), 0.0));
        let found = nearness(&[vec![1.0, 0.0], vec![2.0, 0.0], vec![0.0, 1.0], vec![0.0, 0.0]]);
        let expected = [1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0];
        assert!(found.iter().zip(expected).all(|(a, b)| near(*a, b)), "{found:?}");
        assert!(near(nearness(&[vec![1.0]])[0], 0.0));
    }

    #[test]
    fn shares_are_shares_and_the_odd_one_out_is_farthest() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..500 {
            let tokens: Vec<u32> = (0..rng.usize(0..40)).map(|_| rng.u32(0..4)).collect();
            let n = rng.usize(1..5);
            let share = repeated(&tokens, n);
            assert!((0.0..1.0).contains(&share));
            // A text twice repeats at least what the text once does.
            assert!(repeated(&[tokens.clone(), tokens.clone()].concat(), n) >= share);
            let mut vectors: Vec<Vec<f32>> =
                (0..rng.usize(2..6)).map(|_| vec![1.0, 0.2 * rng.f32(), 0.2 * rng.f32()]).collect();
            let odd = rng.usize(0..=vectors.len());
            vectors.insert(odd, vec![-0.1, 1.0, 1.0]);
            let found = nearness(&vectors);
            assert!(found.iter().enumerate().all(|(at, score)| at == odd || *score > found[odd]), "{found:?}");
        }
    }
}
