//! What is changed in some rows of a matrix.

use crate::call::Call;
use crate::{Buffer, Columns, Recorder};

/// Columns that follow each other, in some rows: `x * factors + add + bias`, each of them where it is there.
#[derive(Clone, Copy, Debug)]
pub struct Correction<'a> {
    /// The rows, no two the same; all of them where there is none.
    pub rows: Option<&'a Buffer>,
    /// How many.
    pub count: usize,
    /// How many columns.
    pub columns: usize,
    /// One for each column.
    pub factors: Option<&'a Buffer>,
    /// `[count, columns]`
    pub add: Option<&'a Buffer>,
    /// One for each column.
    pub bias: Option<&'a Buffer>,
}

impl Recorder {
    /// Changes columns of a matrix in place, from the first of `x` on. Each row must be one of the matrix.
    pub fn correct(&mut self, x: Columns<'_>, correction: &Correction<'_>) {
        let Correction { rows, count, columns, factors, add, bias } = *correction;
        assert!(x.first + columns <= x.stride, "{columns} columns from {} on in {}", x.first, x.stride);
        rows.iter().for_each(|rows| rows.holds(count));
        [factors, bias].iter().flatten().for_each(|vector| vector.holds(columns));
        add.iter().for_each(|add| add.holds(count * columns));
        Call::new("correct")
            .maybe("rows", "u32", rows)
            .maybe("factors", "f32", factors)
            .maybe("add", "f32", add)
            .maybe("bias", "f32", bias)
            .write("to", "f32", x.buffer)
            .size("columns", columns)
            .size("stride", x.stride)
            .size("first", x.first)
            .run_each(self, count * columns, 128);
    }
}
