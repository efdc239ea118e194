//! The greatest numbers of rows of scores, so that no more than those are read back.

use crate::call::Call;
use crate::{Buffer, Recorder};

impl Recorder {
    /// Fills `ids [rows, count]`, whole numbers, with the columns of the greatest numbers of each row of `x [rows, width]`,
    /// the greatest first and the first of equal ones; and `scores [rows, count]` with those numbers, where it is there. What
    /// is no number counts as the least one.
    pub fn top(&mut self, x: &Buffer, rows: usize, width: usize, count: usize, ids: &Buffer, scores: Option<&Buffer>) {
        assert!(count <= width, "{count} of {width} numbers");
        x.holds(rows * width);
        ids.holds(rows * count);
        scores.iter().for_each(|scores| scores.holds(rows * count));
        if count == 0 {
            return;
        }
        let call = Call::new("top").flag("scores", scores.is_some()).number("threads", 256);
        let call = call.read("x", "f32", x).write("ids", "u32", ids);
        let call = match scores {
            Some(scores) => call.write("scores", "f32", scores),
            None => call,
        };
        call.size("width", width).size("count", count).run(self, rows);
    }
}
