//! Tokens that are ruled out or forced, always or at some length, and scores that are made finite.

/// Tokens that are outside of the vocabulary cannot come anyway.
pub(super) fn ban(tokens: &[usize], scores: &mut [f32]) {
    for token in tokens {
        if let Some(score) = scores.get_mut(*token) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// Leaves only `tokens`, all alike.
pub(super) fn force(tokens: &[usize], scores: &mut [f32]) {
    scores.fill(f32::NEG_INFINITY);
    for token in tokens {
        scores[*token] = 0.0;
    }
}

/// NaN becomes 0, infinities the largest finite numbers (`InfNanRemoveLogitsProcessor`).
pub(super) fn make_finite(scores: &mut [f32]) {
    for score in scores {
        *score = if score.is_nan() { 0.0 } else { score.clamp(f32::MIN, f32::MAX) };
    }
}

/// Raises `tokens` by `|score| * (factor ^ steps - 1)` (`ExponentialDecayLengthPenalty`).
pub(super) fn decay(tokens: &[usize], factor: f64, steps: usize, scores: &mut [f32]) {
    let raised = crate::numbers::narrow(factor.powf(crate::numbers::count(steps)) - 1.0);
    for (place, token) in tokens.iter().enumerate() {
        // A token that is listed twice is raised once.
        if let Some(score) = scores.get_mut(*token).filter(|score| score.is_finite())
            && !tokens[..place].contains(token)
        {
            *score += score.abs() * raised;
        }
    }
}
