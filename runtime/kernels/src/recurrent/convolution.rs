//! Convolution of each column over a token and those before it.

use super::{Part, States, each_part};
use crate::attention::Columns;
use crate::chunk::{CHUNK, Chunk, put, take};
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd, multiply_add};
use crate::team::Team;

/// `y = bias + sum of weight[i] x[token - size + 1 + i]` for each column. Its state is the last `size - 1` rows of `x`, the
/// oldest first.
#[derive(Clone, Copy)]
pub struct CausalConvolution<'a> {
    /// `[size, width]`, the token's own last.
    pub weight: &'a [f32],
    /// `[width]`
    pub bias: Option<&'a [f32]>,
    /// Columns.
    pub width: usize,
    /// Tokens that it reaches over.
    pub size: usize,
}

impl CausalConvolution<'_> {
    /// Fills `to [n, width]` from `x [n, width]`; what precedes a sequence is zeros, or what its states have.
    pub fn run(&self, team: &Team<'_>, offsets: &[usize], states: Option<States<'_>>, x: Columns<'_>, to: &mut [f32]) {
        assert_eq!(self.weight.len(), self.size * self.width, "a weight for each column and place");
        let (isa, to) = (Isa::best(), Shared::new(to));
        each_part(team, offsets, self.width, &|part| {
            isa.run(Convolve { convolution: self, states: states.as_ref(), x, part, to: &to });
        });
    }
}

struct Convolve<'a> {
    convolution: &'a CausalConvolution<'a>,
    states: Option<&'a States<'a>>,
    x: Columns<'a>,
    part: Part,
    to: &'a Shared<'a, f32>,
}

impl Kernel for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let CausalConvolution { weight, bias, width, size } = *self.convolution;
        let Part { sequence, rows, columns } = &self.part;
        for first in columns.clone().step_by(CHUNK) {
            let count = CHUNK.min(columns.end - first);
            for row in rows.clone() {
                let mut sum = bias.map_or([0.0; CHUNK], |bias| take(&bias[first..][..count]));
                for place in 0..size {
                    let x = self.row(row - rows.start + place, first, count);
                    let weight: Chunk = take(&weight[place * width + first..][..count]);
                    for i in 0..CHUNK {
                        sum[i] = multiply_add::<S>(weight[i], x[i], sum[i]);
                    }
                }
                // SAFETY: this task alone has these columns of these rows.
                #[expect(unsafe_code, reason = "the result is cut up among tasks")]
                put(sum, unsafe { self.to.part(row * width + first..row * width + first + count) });
            }
            let Some(states) = self.states else { continue };
            let past = states.kept.past(*sequence);
            // The first of these states may replace the one that the run began with, of which later ones have rows.
            for index in (0..rows.len()).rev().filter(|index| States::is_kept(past + index, past + rows.len())) {
                for place in 0..size - 1 {
                    let x = self.row(index + 1 + place, first, count);
                    states.write(*sequence, past + index, place * width + first, count, x);
                }
            }
        }
    }
}

impl Convolve<'_> {
    /// Some columns of row `number` of what is kept, of `size - 1` rows, and the rows of the run behind it.
    #[inline(always)]
    fn row(&self, number: usize, first: usize, count: usize) -> Chunk {
        let CausalConvolution { width, size, .. } = *self.convolution;
        match (number.checked_sub(size - 1), self.states) {
            (Some(index), _) => take(self.x.row(self.part.rows.start + index, first, count)),
            (None, Some(states)) => states.before(self.part.sequence, number * width + first, count),
            (None, None) => [0.0; CHUNK],
        }
    }
}
