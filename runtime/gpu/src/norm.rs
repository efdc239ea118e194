//! Normalisation of rows.

use crate::call::Call;
use crate::{Buffer, Recorder};

/// A normalisation of each row, or of equal parts of rows.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Whether rows are brought to mean 0 first (layer norm), or only to mean square 1 (RMS norm).
    pub centred: bool,
    /// `[width]`
    pub weight: &'a Buffer,
    /// `[width]`
    pub bias: Option<&'a Buffer>,
    /// Numbers that are normalised together.
    pub width: usize,
    /// Added to the variance, or to the mean square.
    pub epsilon: f32,
}

impl Recorder {
    /// Fills `to` with the normalised rows `[rows, norm.width]` of `x`, which may be the same buffer. A row that is
    /// normalised in equal parts counts as several.
    pub fn norm(&mut self, x: &Buffer, rows: usize, norm: &Norm<'_>, to: &Buffer) {
        x.holds(rows * norm.width);
        to.holds(rows * norm.width);
        norm.weight.holds(norm.width);
        norm.bias.iter().for_each(|bias| bias.holds(norm.width));
        if norm.width == 0 {
            return;
        }
        let threads = norm.width.div_ceil(4).next_power_of_two().clamp(32, 256);
        Call::new("norm")
            .maybe("x", "f32", (x.id() != to.id()).then_some(x))
            .read("weight", "f32", norm.weight)
            .maybe("bias", "f32", norm.bias)
            .write("to", "f32", to)
            .flag("centred", norm.centred)
            .flag("subgroups", self.gpu.shared.capabilities.subgroups.is_some())
            .number("threads", threads)
            .size("width", norm.width)
            .float("epsilon", norm.epsilon)
            .run(self, rows);
    }
}
