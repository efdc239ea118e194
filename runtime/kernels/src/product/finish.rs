//! What is done with a product's results before they leave the cache.

use std::ops::Range;

use crate::activation::{Activation, activate};
use crate::norm::Norm;
use crate::shared::Shared;
use crate::simd::Simd;

/// `norm(activation(product + bias) * factor + add)`, each of them where it is there.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    /// Applied to each number.
    pub activation: Option<Activation>,
    /// `[rows, outputs]`
    pub factor: Option<&'a [f32]>,
    /// `[rows, outputs]`
    pub add: Option<&'a [f32]>,
    /// Of whole rows.
    pub norm: Option<Norm<'a>>,
}

impl Finish<'_> {
    pub(super) fn check(&self, rows: usize, outputs: usize) {
        let vectors = [self.bias, self.norm.map(|norm| norm.weight), self.norm.and_then(|norm| norm.bias)];
        assert!(vectors.iter().flatten().all(|vector| vector.len() == outputs), "one number for each output");
        let matrices = [self.factor, self.add];
        assert!(matrices.iter().flatten().all(|matrix| matrix.len() == rows * outputs), "of the shape of the result");
    }

    /// Finishes some rows and columns of `to`, but for what [`Self::rows`] does.
    #[inline(always)]
    pub(super) fn tile<S: Simd>(&self, to: &Shared<'_, f32>, width: usize, rows: Range<usize>, columns: Range<usize>) {
        for row in rows {
            let range = row * width + columns.start..row * width + columns.end;
            // SAFETY: the task has these rows and columns to itself.
            #[expect(unsafe_code, reason = "the result is cut up among tasks")]
            let to = unsafe { to.part(range.clone()) };
            if let Some(bias) = self.bias {
                combine(to, &bias[columns.clone()], |to, bias| to + bias);
            }
            if let Some(activation) = self.activation {
                activate::<S>(activation, to);
            }
            if let Some(factor) = self.factor {
                combine(to, &factor[range.clone()], |to, factor| to * factor);
            }
        }
    }

    /// Finishes whole rows of `to`, which other operands are read best by.
    #[inline(always)]
    pub(super) fn rows(&self, to: &Shared<'_, f32>, width: usize, rows: Range<usize>) {
        if self.add.is_none() && self.norm.is_none() {
            return;
        }
        for row in rows {
            let range = row * width..(row + 1) * width;
            // SAFETY: the task has these rows to itself.
            #[expect(unsafe_code, reason = "rows are cut up among tasks")]
            let to = unsafe { to.part(range.clone()) };
            if let Some(add) = self.add {
                combine(to, &add[range], |to, add| to + add);
            }
            if let Some(norm) = &self.norm {
                norm.row(to);
            }
        }
    }
}

#[inline(always)]
fn combine(to: &mut [f32], with: &[f32], function: impl Fn(f32, f32) -> f32) {
    for (to, with) in to.iter_mut().zip(with) {
        *to = function(*to, *with);
    }
}
