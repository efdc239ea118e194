//! Layer normalisation.

use rayon::prelude::*;

use super::reduce::sum;
use super::simd::widest;

/// Rows in a task.
const ROWS: usize = 16;

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` for each row of `x`.
pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f64, to: &mut [f32]) {
    let width = weight.len();
    if width == 0 {
        return;
    }
    to.par_chunks_mut(width * ROWS).zip(x.par_chunks(width * ROWS)).for_each(|(to, x)| {
        widest(|| {
            for (to, x) in to.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                row(x, weight, bias, epsilon, to);
            }
        });
    });
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
fn row(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f64, to: &mut [f32]) {
    let count = x.len() as f32;
    let mean = sum(x, |x| x) / count;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
    let scale = (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32;
    for (((to, x), weight), bias) in to.iter_mut().zip(x).zip(weight).zip(bias) {
        *to = (x - mean) * scale * weight + bias;
    }
}

/// `x / sqrt(mean of squares + epsilon) * weight` for each row of `x`.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f64, to: &mut [f32]) {
    for (to, x) in to.chunks_exact_mut(weight.len()).zip(x.chunks_exact(weight.len())) {
        let squares = sum(x, |x| x * x) / x.len() as f32;
        let scale = (1.0 / (f64::from(squares) + epsilon).sqrt()) as f32;
        to.iter_mut().zip(x).zip(weight).for_each(|((to, x), weight)| *to = x * scale * weight);
    }
}
