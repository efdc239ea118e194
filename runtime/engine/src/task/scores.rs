//! Logits to scores, in f32 as numpy computes them, and to JSON.

use runtime_tasks::Function;

use crate::Error;

pub(crate) use crate::ladder::number;

/// `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Shares of 1, in the proportions of `exp(x)`.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let terms: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f32 = terms.iter().sum();
    terms.into_iter().map(|term| term / total).collect()
}

/// What `function` makes of the logits of one row.
pub(crate) fn apply(function: Function, logits: &[f32]) -> Vec<f32> {
    match function {
        Function::Sigmoid => logits.iter().copied().map(sigmoid).collect(),
        Function::Softmax => softmax(logits),
        Function::None => logits.to_vec(),
    }
}

/// The indices of scores, the highest first, equal ones in their order.
pub(crate) fn descending(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// Refuses what only damaged weights give.
///
/// # Errors
/// Where one is infinite or no number.
pub(crate) fn check_finite(values: &[f32]) -> Result<(), Error> {
    let wrong = values.iter().find(|value| !value.is_finite());
    wrong.map_or(Ok(()), |score| Err(Error::NoNumber { score: *score }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_formulas() {
        // exp(1), exp(2), exp(3) over their sum, from a table.
        let expected = [0.090_030_57, 0.244_728_48, 0.665_240_94];
        let found = softmax(&[1.0, 2.0, 3.0]);
        assert!(found.iter().zip(expected).all(|(x, y): (&f32, f32)| (x - y).abs() < 1e-7), "{found:?}");
        // Large logits do not overflow.
        assert_eq!(softmax(&[1000.0, 0.0]), [1.0, 0.0]);
        assert_eq!(apply(Function::Sigmoid, &[0.0, -1000.0, 1000.0]), [0.5, 0.0, 1.0]);
        assert_eq!(apply(Function::None, &[-3.0]), [-3.0]);
    }

    #[test]
    fn equal_scores_keep_their_order() {
        assert_eq!(descending(&[0.1, 0.5, 0.5, 0.7]), [3, 1, 2, 0]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(check_finite(&[1.0, -2.0]).is_ok());
        assert!(matches!(check_finite(&[1.0, f32::NAN]), Err(Error::NoNumber { .. })));
        assert!(matches!(check_finite(&[f32::INFINITY]), Err(Error::NoNumber { .. })));
    }
}
