//! What is read back of rows of scores in their place: the greatest, and the sum of all exponentials.

use crate::call::Call;
use crate::{Buffer, Recorder};

/// Threads of a workgroup.
const THREADS: usize = 256;

/// Numbers that a workgroup sorts.
const SORTED: usize = 1024;

/// Numbers of which a workgroup takes one, or a sum.
const REDUCED: usize = 4096;

/// The most that [`Recorder::top`] lists of a row: a part of what is sorted, so that each round leaves less.
pub const MOST_LISTED: usize = SORTED / 4;

/// Parts of a row of `width` that [`Recorder::sum_exp`] gives sums of.
pub fn summed_parts(width: usize) -> usize {
    width.div_ceil(REDUCED)
}

/// `ln(sum(exp(x)))` of a row, from what [`Recorder::sum_exp`] gives of its parts.
pub fn log_sum_exp(parts: &[f32]) -> f64 {
    let parts = parts.as_chunks::<2>().0;
    let highest = parts.iter().map(|[highest, _]| f64::from(*highest)).fold(f64::NEG_INFINITY, f64::max);
    let sums = parts.iter().map(|[part, sum]| f64::from(*sum) * (f64::from(*part) - highest).exp());
    highest + sums.sum::<f64>().ln()
}

impl Recorder {
    /// Fills `ids [rows, count]`, whole numbers, with the columns of the greatest numbers of each row of `x [rows, width]`,
    /// the greatest first and the first of equal ones; and `scores [rows, count]` with those numbers, where it is there. What
    /// is no number comes first of all, so that it is noticed.
    ///
    /// # Panics
    /// Where `count` is more than `width`, or [`MOST_LISTED`].
    pub fn top(&mut self, x: &Buffer, rows: usize, width: usize, count: usize, ids: &Buffer, scores: Option<&Buffer>) {
        assert!(count <= width.min(MOST_LISTED), "{count} of {width} numbers");
        x.holds(rows * width);
        ids.holds(rows * count);
        scores.iter().for_each(|scores| scores.holds(rows * count));
        if count == 0 || rows == 0 {
            return;
        }
        let one = count == 1;
        let (mut left, mut lists): (usize, Option<[Buffer; 2]>) = (width, None);
        loop {
            let part = if one { REDUCED } else { left.next_power_of_two().clamp(2, SORTED) };
            let parts = left.div_ceil(part);
            let (first, last) = (lists.is_none(), parts == 1);
            let mut call = Call::new("top").flag("one", one).flag("first", first).flag("last", last);
            call = call.flag("scores", last && scores.is_some());
            call = call.number("part", part).number("entries", if one { THREADS } else { part });
            call = call.number("threads", THREADS);
            if first || (last && scores.is_some()) {
                call = call.read("x", "u32", x);
            }
            if let Some([keys, columns]) = &lists {
                call = call.read("from_keys", "u32", keys).read("from_columns", "u32", columns);
            }
            let sized = |call: Call<'_>, recorder: &mut Self| {
                let call = call.size("width", left).size("parts", parts).size("count", count).size("all", width);
                call.run(recorder, rows * parts);
            };
            if last {
                call = call.write("ids", "u32", ids);
                if let Some(scores) = scores {
                    call = call.write("scores", "u32", scores);
                }
                return sized(call, self);
            }
            let bytes = size_of::<u32>() * rows * parts * count;
            let (Some(keys), Some(columns)) = (self.own_scratch(bytes), self.own_scratch(bytes)) else { return };
            sized(call.write("to_keys", "u32", &keys).write("to_columns", "u32", &columns), self);
            lists = Some([keys, columns]);
            left = parts * count;
        }
    }

    /// Fills `to [rows, parts, 2]` with the greatest number of each part of each row of `x [rows, width]`, of which there are
    /// [`summed_parts`], and the sum of the exponentials of all of its numbers less that. [`log_sum_exp`] makes one of them.
    pub fn sum_exp(&mut self, x: &Buffer, rows: usize, width: usize, to: &Buffer) {
        let parts = summed_parts(width);
        x.holds(rows * width);
        to.holds(2 * rows * parts);
        Call::new("sum_exp")
            .read("x", "f32", x)
            .write("to", "f32", to)
            .number("part", REDUCED)
            .number("threads", THREADS)
            .size("width", width)
            .size("parts", parts)
            .run(self, rows * parts);
    }
}
