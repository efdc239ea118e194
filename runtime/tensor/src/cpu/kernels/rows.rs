//! One row for all rows.

use rayon::prelude::*;

use super::simd::widest;

/// Rows in a task.
const ROWS: usize = 16;

/// Adds `bias` to each row of `x`.
pub(crate) fn add_bias(x: &mut [f32], bias: &[f32]) {
    x.par_chunks_mut(bias.len().max(1) * ROWS).for_each(|rows| {
        widest(|| {
            for row in rows.chunks_exact_mut(bias.len()) {
                for (x, bias) in row.iter_mut().zip(bias) {
                    *x += bias;
                }
            }
        });
    });
}
