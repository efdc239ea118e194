//! Normalisation of rows.

use std::ops::Range;

use crate::reduce::sum;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd};
use crate::team::Team;

/// Rows in a task.
const ROWS: usize = 32;

/// A normalisation of each row of `[rows, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Whether rows are brought to mean 0 first (layer norm), or only to mean square 1 (RMS norm).
    pub centred: bool,
    /// `[width]`
    pub weight: &'a [f32],
    /// `[width]`
    pub bias: Option<&'a [f32]>,
    /// Added to the variance, or to the mean square.
    pub epsilon: f64,
}

impl Norm<'_> {
    /// Fills `to` with the normalised rows of `x`.
    pub fn run(&self, team: &Team<'_>, x: &[f32], to: &mut [f32]) {
        assert_eq!(x.len(), to.len(), "as many results as numbers");
        self.tasks(team, to, &|range, to| to.copy_from_slice(&x[range]));
    }

    /// Normalises the rows of `x`.
    pub fn run_in_place(&self, team: &Team<'_>, x: &mut [f32]) {
        self.tasks(team, x, &|_, _| ());
    }

    fn tasks(&self, team: &Team<'_>, to: &mut [f32], before: &(dyn Fn(Range<usize>, &mut [f32]) + Sync)) {
        let width = self.weight.len();
        if width == 0 {
            return;
        }
        let (len, isa) = (to.len(), Isa::best());
        let to = Shared::new(to);
        team.each((len / width).div_ceil(ROWS), &|task, _| {
            let range = task * ROWS * width..len.min((task + 1) * ROWS * width);
            // SAFETY: tasks have different rows.
            #[expect(unsafe_code, reason = "rows are cut up among tasks")]
            let to = unsafe { to.part(range.clone()) };
            before(range, to);
            isa.run(InPlace { norm: self, x: to });
        });
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
    pub(crate) fn row(&self, row: &mut [f32]) {
        let count = row.len() as f32;
        let mean = if self.centred { sum(row, |x| x) / count } else { 0.0 };
        let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
        let scale = (1.0 / (f64::from(variance) + self.epsilon).sqrt()) as f32;
        match self.bias {
            Some(bias) => {
                for ((x, weight), bias) in row.iter_mut().zip(self.weight).zip(bias) {
                    *x = (*x - mean) * scale * weight + bias;
                }
            }
            None => {
                for (x, weight) in row.iter_mut().zip(self.weight) {
                    *x = (*x - mean) * scale * weight;
                }
            }
        }
    }
}

struct InPlace<'a> {
    norm: &'a Norm<'a>,
    x: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        for row in self.x.chunks_exact_mut(self.norm.weight.len()) {
            self.norm.row(row);
        }
    }
}
