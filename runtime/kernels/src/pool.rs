//! From the rows of a sequence to one.

use crate::shared::Shared;
use crate::team::Team;

/// How the tokens of a sequence become one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The first token.
    First,
    /// The last token.
    Last,
    /// The mean over the tokens.
    Mean,
    /// The maximum over the tokens, for each column.
    Max,
}

impl Pooling {
    /// Fills row `i` of `to` from the rows `offsets[i]..offsets[i + 1]` of `x`; a sequence without tokens gives zeros.
    pub fn run(self, team: &Team<'_>, offsets: &[usize], width: usize, x: &[f32], to: &mut [f32]) {
        if width == 0 {
            return;
        }
        let to = Shared::new(to);
        team.each(offsets.len() - 1, &|sequence, _| {
            // SAFETY: each task has a row of its own.
            #[expect(unsafe_code, reason = "rows are cut up among tasks")]
            let to = unsafe { to.part(sequence * width..(sequence + 1) * width) };
            self.sequence(&x[offsets[sequence] * width..offsets[sequence + 1] * width], width, to);
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "a sequence has fewer than 2^24 tokens")]
    fn sequence(self, x: &[f32], width: usize, to: &mut [f32]) {
        let mut rows = x.chunks_exact(width);
        let count = rows.len();
        let first = if self == Self::Last { rows.next_back() } else { rows.next() };
        match first {
            Some(first) => to.copy_from_slice(first),
            None => to.fill(0.0),
        }
        match self {
            Self::First | Self::Last => {}
            Self::Mean => {
                rows.for_each(|row| to.iter_mut().zip(row).for_each(|(to, x)| *to += x));
                to.iter_mut().for_each(|to| *to /= count.max(1) as f32);
            }
            Self::Max => rows.for_each(|row| to.iter_mut().zip(row).for_each(|(to, x)| *to = to.max(*x))),
        }
    }
}
