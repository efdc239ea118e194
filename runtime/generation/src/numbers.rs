//! Conversions that lose digits, each said once.

/// A parameter as the scores have it; torch narrows the scalars of an operation with `float32` tensors too.
pub(crate) fn narrow(number: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounds to the type of the scores")]
    let narrow = number as f32;
    narrow
}

/// A number of tokens.
pub(crate) fn count(number: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 tokens")]
    let count = number as f64;
    count
}

/// A token's place among the scores.
pub(crate) fn index(token: u32) -> usize {
    usize::try_from(token).unwrap_or(usize::MAX)
}

/// The token at a place; vocabularies have far fewer than 2^32 tokens.
pub(crate) fn token(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
