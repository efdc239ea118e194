//! Logarithms of probabilities.

use crate::numbers::{index, narrow, token};
use crate::passes::{highest, sum_exp};
use crate::top::Top;

/// `ln(sum(exp(scores)))`, summed in double precision.
pub(crate) fn log_sum_exp(scores: &[f32]) -> f64 {
    let highest = highest(scores);
    if highest == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    f64::from(highest) + sum_exp(scores, highest).ln()
}

/// Turns scores into logarithms of probabilities, in place.
pub fn log_softmax(scores: &mut [f32]) {
    let total = log_sum_exp(scores);
    for score in scores {
        *score = narrow(f64::from(*score) - total);
    }
}

/// A token and the logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLogProb {
    /// The token.
    pub token: u32,
    /// Natural logarithm of its probability.
    pub log_prob: f32,
}

/// Of the token that was chosen, and of the `alternatives` likeliest, the best first.
///
/// `scores` are what the logarithms shall be of: the model's logits, or what the processors made of them.
pub fn token_log_probs(scores: &[f32], chosen: u32, alternatives: usize) -> (TokenLogProb, Vec<TokenLogProb>) {
    let total = log_sum_exp(scores);
    let of = |token: u32, score: f32| TokenLogProb { token, log_prob: narrow(f64::from(score) - total) };
    let chosen = of(chosen, scores.get(index(chosen)).copied().unwrap_or(f32::NEG_INFINITY));
    if alternatives == 0 {
        return (chosen, Vec::new());
    }
    let mut top = Top::default();
    let best = top.of(scores, alternatives);
    (chosen, best.iter().map(|entry| of(token(entry.index), entry.score)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_of_shares_of_one() {
        let mut scores = [1000.0_f32, 1000.0 + 3.0_f32.ln(), f32::NEG_INFINITY];
        let (chosen, best) = token_log_probs(&scores, 0, 2);
        assert!((chosen.log_prob - 0.25_f32.ln()).abs() < 1e-4);
        assert_eq!(best.iter().map(|best| best.token).collect::<Vec<_>>(), [1, 0]);
        assert!((best[0].log_prob - 0.75_f32.ln()).abs() < 1e-4);
        log_softmax(&mut scores);
        assert!((scores[1] - 0.75_f32.ln()).abs() < 1e-4 && scores[2] == f32::NEG_INFINITY);
    }
}
