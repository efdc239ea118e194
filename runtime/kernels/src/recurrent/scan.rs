//! The recurrence of selective state spaces (Mamba, <https://arxiv.org/abs/2312.00752>).

use super::{Part, States, each_part};
use crate::attention::Columns;
use crate::chunk::{CHUNK, Chunk, put, take};
use crate::math;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd, multiply_add};
use crate::team::Team;

/// `h = exp(delta a) h + delta b x` and `y = c h + d x` along each sequence, for each column and each of its states. Its state is
/// `h [states, width]`.
#[derive(Clone, Copy)]
pub struct SelectiveScan<'a> {
    /// `[states, width]`
    pub a: &'a [f32],
    /// `[width]`
    pub d: Option<&'a [f32]>,
    /// Columns.
    pub width: usize,
    /// States of a column.
    pub states: usize,
}

/// What changes from token to token.
#[derive(Clone, Copy)]
pub struct Scanned<'a> {
    /// `[n, width]`
    pub x: Columns<'a>,
    /// `[n, width]`
    pub delta: Columns<'a>,
    /// `[n, states]`
    pub b: Columns<'a>,
    /// `[n, states]`
    pub c: Columns<'a>,
}

impl SelectiveScan<'_> {
    /// Fills `to [n, width]`; a sequence begins with zeros, or with what its states have.
    pub fn run(
        &self,
        team: &Team<'_>,
        offsets: &[usize],
        states: Option<States<'_>>,
        scanned: Scanned<'_>,
        to: &mut [f32],
    ) {
        assert_eq!(self.a.len(), self.states * self.width, "a number for each column and state");
        let (isa, to) = (Isa::best(), Shared::new(to));
        each_part(team, offsets, self.width, &|part| {
            isa.run(Scan { scan: self, states: states.as_ref(), scanned, part, to: &to });
        });
    }
}

struct Scan<'a> {
    scan: &'a SelectiveScan<'a>,
    states: Option<&'a States<'a>>,
    scanned: Scanned<'a>,
    part: Part,
    to: &'a Shared<'a, f32>,
}

impl Kernel for Scan<'_> {
    type Output = ();

    /// State by state, so that it stays in registers from token to token.
    #[inline(always)]
    fn run<S: Simd>(self) {
        let SelectiveScan { a, d, width, states } = *self.scan;
        let Scanned { x, delta, b, c } = self.scanned;
        let Part { sequence, rows, columns } = &self.part;
        let past = self.states.map_or(0, |states| states.kept.past(*sequence));
        let end = past + rows.len();
        for first in columns.clone().step_by(CHUNK) {
            let count = CHUNK.min(columns.end - first);
            let d: Chunk = d.map_or([0.0; CHUNK], |d| take(&d[first..][..count]));
            for row in rows.clone() {
                let mut y = take(x.row(row, first, count));
                for i in 0..CHUNK {
                    y[i] *= d[i];
                }
                put(y, self.to(row, first, count));
            }
            for state in 0..states {
                let at = state * width + first;
                let a: Chunk = take(&a[at..][..count]);
                let mut h = self.states.map_or([0.0; CHUNK], |states| states.before(*sequence, at, count));
                for (token, row) in (past..).zip(rows.clone()) {
                    let x: Chunk = take(x.row(row, first, count));
                    let delta: Chunk = take(delta.row(row, first, count));
                    let (b, c) = (b.row(row, state, 1)[0], c.row(row, state, 1)[0]);
                    let to = self.to(row, first, count);
                    let mut y: Chunk = take(to);
                    for i in 0..CHUNK {
                        let decayed = math::exp::<S>(delta[i] * a[i]) * h[i];
                        h[i] = multiply_add::<S>(delta[i] * b, x[i], decayed);
                        y[i] = multiply_add::<S>(c, h[i], y[i]);
                    }
                    put(y, to);
                    if let Some(states) = self.states.filter(|_| States::is_kept(token, end)) {
                        states.write(*sequence, token, at, count, h);
                    }
                }
            }
        }
    }
}

impl Scan<'_> {
    /// Some columns of a row of the result.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "a part of a slice that others have parts of")]
    fn to(&self, row: usize, first: usize, count: usize) -> &mut [f32] {
        let start = row * self.scan.width + first;
        // SAFETY: this task alone has these columns of its sequence's rows, one part of them at a time.
        #[expect(unsafe_code, reason = "the result is cut up among tasks")]
        unsafe {
            self.to.part(start..start + count)
        }
    }
}
