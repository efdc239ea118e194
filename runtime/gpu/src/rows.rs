//! Operators that move rows and columns.

use crate::call::Call;
use crate::weight::Reading;
use crate::{Buffer, Columns, Recorder, Weight};

/// Threads of a workgroup.
const THREADS: usize = 128;

impl Recorder {
    /// Fills `to [count, width]` with the rows of `table [.., width]` at `ids [count]`, or adds them to it. Each id must have
    /// a row.
    pub fn look_up(&mut self, table: &Weight, ids: &Buffer, count: usize, add: bool, to: &Buffer) {
        let width = table.inputs();
        ids.holds(count);
        to.holds(count * width);
        for slab in &table.slabs {
            table
                .bind(Call::new("look_up"), slab, Reading::Fours)
                .read("ids", "u32", ids)
                .write("to", "f32", to)
                .flag("adding", add)
                .size("width", width)
                .size("first", slab.first)
                .size("rows", slab.rows)
                .run_each(self, count * width.div_ceil(4), THREADS);
        }
    }

    /// Fills `to [count, width]` with the rows of `x [.., width]` at `ids [count]`. Each id must have a row.
    pub fn select_rows(&mut self, x: &Buffer, width: usize, ids: &Buffer, count: usize, to: &Buffer) {
        ids.holds(count);
        to.holds(count * width);
        Call::new("select")
            .read("x", "f32", x)
            .read("ids", "u32", ids)
            .write("to", "f32", to)
            .size("width", width)
            .run_each(self, count * width, THREADS);
    }

    /// Fills `to [rows, width]` with columns of `x`.
    pub fn copy_columns(&mut self, x: Columns<'_>, rows: usize, width: usize, to: &Buffer) {
        x.hold(rows, width);
        to.holds(rows * width);
        Call::new("copy")
            .read("x", "f32", x.buffer)
            .write("to", "f32", to)
            .size("width", width)
            .size("stride", x.stride)
            .size("first", x.first)
            .run_each(self, rows * width, THREADS);
    }

    /// Fills `to` with `parts` parts of each row of `a` `[rows, widths[0]]`, each followed by the same part of `b`
    /// `[rows, widths[1]]`.
    pub fn join(&mut self, a: Columns<'_>, b: Columns<'_>, rows: usize, widths: [usize; 2], parts: usize, to: &Buffer) {
        a.hold(rows, widths[0]);
        b.hold(rows, widths[1]);
        let count = rows * (widths[0] + widths[1]);
        to.holds(count);
        Call::new("join")
            .read("a", "f32", a.buffer)
            .read("b", "f32", b.buffer)
            .write("to", "f32", to)
            .size("parts", parts)
            .size("a_width", widths[0] / parts)
            .size("b_width", widths[1] / parts)
            .size("a_stride", a.stride)
            .size("a_first", a.first)
            .size("b_stride", b.stride)
            .size("b_first", b.first)
            .run_each(self, count, THREADS);
    }
}

impl Columns<'_> {
    /// Fails where the matrix has fewer rows, or a row fewer columns.
    pub(crate) fn hold(&self, rows: usize, width: usize) {
        assert!(self.first + width <= self.stride, "{width} columns from {} on in {}", self.first, self.stride);
        self.buffer.holds(rows * self.stride);
    }
}
