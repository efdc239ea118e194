//! Operators whose result for a token depends on a state behind the token before it.
//!
//! A state is kept in the blocks that keep keys and values: each block holds the state behind the last of its tokens that
//! there is. A run begins with what the block of the token before it has, zeros at the start of a sequence, and writes the
//! state at the end of every block that it passes and behind its last token. So a fork copies a state with its block, and
//! whole blocks are all that is needed to go on from their end; what cannot be gone back to is the middle of a block.
//!
//! Each column of a state is computed by itself, token by token, so that a result has the same bits however a sequence is
//! cut into runs.

mod convolution;
mod scan;

pub use convolution::CausalConvolution;
pub use scan::{Scanned, SelectiveScan};

use std::ops::Range;

use crate::attention::{BLOCK, Kept};
use crate::chunk::{CHUNK, Chunk, put, take};
use crate::team::Team;

/// Columns that a task goes through a sequence with.
const COLUMNS: usize = 4 * CHUNK;

/// The states of one operator in the blocks of a run.
#[derive(Clone, Copy)]
pub struct States<'a> {
    /// The blocks.
    pub kept: &'a Kept<'a>,
    /// Numbers of a block before the state.
    pub first: usize,
}

impl States<'_> {
    /// Some numbers of the state that a run of the sequence begins with, from number `at` on; zeros behind them.
    fn before(&self, sequence: usize, at: usize, count: usize) -> Chunk {
        let Some(token) = self.kept.past(sequence).checked_sub(1) else { return [0.0; CHUNK] };
        let (block, first) = (self.kept.block(sequence, token), self.first + at);
        let (from, _) = (block.pointer(first), block.pointer(first + count));
        // SAFETY: both ends lie in the block. `Kept` has seen that no other sequence writes it, and of this one the task at
        // hand alone has these columns.
        #[expect(unsafe_code, reason = "blocks that are read may be shared by sequences")]
        take(unsafe { std::slice::from_raw_parts(from, count) })
    }

    /// Writes some numbers of the state behind `token` of the sequence, from number `at` on.
    fn write(&self, sequence: usize, token: usize, at: usize, count: usize, state: Chunk) {
        let (block, first) = (self.kept.block(sequence, token), self.first + at);
        // SAFETY: `Kept` has seen that no other sequence has this block; of this one the task at hand alone has these
        // columns.
        #[expect(unsafe_code, reason = "blocks are cut up among sequences and columns")]
        put(state, unsafe { block.part(first..first + count) });
    }

    /// Whether the state behind `token` is kept in a run that ends before `end`.
    fn is_kept(token: usize, end: usize) -> bool {
        (token + 1).is_multiple_of(BLOCK) || token + 1 == end
    }
}

/// A task: some columns of one sequence.
struct Part {
    sequence: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Cuts sequences and columns up.
fn each_part(team: &Team<'_>, offsets: &[usize], width: usize, work: &(dyn Fn(Part) + Sync)) {
    let groups = width.div_ceil(COLUMNS);
    team.each((offsets.len() - 1) * groups, &|task, _| {
        let (sequence, first) = (task / groups, task % groups * COLUMNS);
        let rows = offsets[sequence]..offsets[sequence + 1];
        work(Part { sequence, rows, columns: first..width.min(first + COLUMNS) });
    });
}
