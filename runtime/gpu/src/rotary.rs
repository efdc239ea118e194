//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>).

use crate::call::Call;
use crate::{Buffer, Columns, Recorder};

/// Turns pairs of numbers of each head by angles that grow with the position.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    /// `[positions, frequencies]`
    pub cosines: &'a Buffer,
    /// `[positions, frequencies]`
    pub sines: &'a Buffer,
    /// How many: number `i` of a head is turned with number `i + frequencies`, and those behind stay.
    pub frequencies: usize,
    /// Numbers of a head.
    pub head_size: usize,
}

impl Recorder {
    /// Turns the heads in `width` columns `x [rows, width]`, each row by its position, of which there must be an angle.
    pub fn rotary(&mut self, x: Columns<'_>, rows: usize, width: usize, positions: &Buffer, rotary: &Rotary<'_>) {
        x.hold(rows, width);
        positions.holds(rows);
        assert!(2 * rotary.frequencies <= rotary.head_size, "pairs of a head");
        let heads = width / rotary.head_size;
        Call::new("rotary")
            .read("positions", "u32", positions)
            .read("cosines", "f32", rotary.cosines)
            .read("sines", "f32", rotary.sines)
            .write("x", "f32", x.buffer)
            .size("stride", x.stride)
            .size("first", x.first)
            .size("heads", heads)
            .size("head_size", rotary.head_size)
            .size("frequencies", rotary.frequencies)
            .run_each(self, rows * heads * rotary.frequencies, 128);
    }
}
