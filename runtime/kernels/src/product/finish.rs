//! What is done with a product's results before they leave the cache.

use std::ops::Range;

use crate::activation::{Activation, activate};
use crate::chunk::{CHUNK, Chunk, put, take};
use crate::norm::Norm;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd};
use crate::team::Team;

use super::FINISHED_ROWS;

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
    /// Finishes the whole of a product that was made without, `to [rows, width]`; the bits are those of a product with it.
    pub fn run(&self, team: &Team<'_>, width: usize, to: &mut [f32]) {
        if to.is_empty() {
            return;
        }
        let rows = to.len() / width;
        self.check(rows, width);
        let (isa, to) = (Isa::best(), Shared::new(to));
        team.each(rows.div_ceil(FINISHED_ROWS), &|task, _| {
            let rows = task * FINISHED_ROWS..rows.min((task + 1) * FINISHED_ROWS);
            isa.run(Whole { finish: self, to: &to, width, rows });
        });
    }

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
            let first = row * width + columns.start;
            // SAFETY: the task has these rows and columns to itself.
            #[expect(unsafe_code, reason = "the result is cut up among tasks")]
            let to = unsafe { to.part(first..first + columns.len()) };
            for (index, to) in to.chunks_mut(CHUNK).enumerate() {
                let done = index * CHUNK;
                put(self.chunk::<S>(take(to), first + done, columns.start + done), to);
            }
        }
    }

    /// Finishes numbers that belong at `first` of the result, where its column is `column`.
    #[inline(always)]
    pub(super) fn chunk<S: Simd>(&self, mut x: Chunk, first: usize, column: usize) -> Chunk {
        if let Some(bias) = self.bias {
            x = combine(x, take(&bias[column..]), |x, bias| x + bias);
        }
        if let Some(activation) = self.activation {
            x = activate::<S>(activation, x);
        }
        if let Some(factor) = self.factor {
            x = combine(x, take(&factor[first..]), |x, factor| x * factor);
        }
        x
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
                for (to, add) in to.chunks_mut(CHUNK).zip(add[range].chunks(CHUNK)) {
                    put(combine(take(to), take(add), |to, add| to + add), to);
                }
            }
            if let Some(norm) = &self.norm {
                norm.row(to);
            }
        }
    }
}

/// Whole rows with all that a [`Finish`] does.
struct Whole<'a> {
    finish: &'a Finish<'a>,
    to: &'a Shared<'a, f32>,
    width: usize,
    rows: Range<usize>,
}

impl Kernel for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { finish, to, width, rows } = self;
        finish.tile::<S>(to, width, rows.clone(), 0..width);
        finish.rows(to, width, rows);
    }
}

#[inline(always)]
fn combine(mut x: Chunk, with: Chunk, function: impl Fn(f32, f32) -> f32) -> Chunk {
    for (x, with) in x.iter_mut().zip(with) {
        *x = function(*x, with);
    }
    x
}
