//! Rotary position embedding.

/// Rotates each head of each row of `x`, `width` wide, by the row's position.
///
/// Angles are computed in single precision, as transformers computes them.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
pub(crate) fn rotary(x: &[f32], positions: &[u32], width: usize, head_size: usize, theta: f64, to: &mut [f32]) {
    let half = head_size / 2;
    let frequencies: Vec<f32> =
        (0..half).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_size as f32)).collect();
    for ((to, x), position) in to.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(positions) {
        for (to, x) in to.chunks_exact_mut(head_size).zip(x.chunks_exact(head_size)) {
            for (i, frequency) in frequencies.iter().enumerate() {
                let (sin, cos) = (*position as f32 * frequency).sin_cos();
                to[i] = x[i] * cos - x[half + i] * sin;
                to[half + i] = x[half + i] * cos + x[i] * sin;
            }
        }
    }
}
