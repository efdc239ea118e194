//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>).

use crate::rows::by_rows;
use crate::team::Team;

/// Turns pairs of numbers of each head by angles that grow with the position.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    /// `[positions, frequencies]`
    pub cosines: &'a [f32],
    /// `[positions, frequencies]`
    pub sines: &'a [f32],
    /// How many.
    pub frequencies: usize,
    /// Numbers of a head: number `i` is turned with number `i + frequencies`, and those behind stay.
    pub head_size: usize,
}

impl Rotary<'_> {
    /// Turns the heads of `x [n, width]` in columns `columns`, each row by its position.
    pub fn run(
        &self,
        team: &Team<'_>,
        positions: &[u32],
        columns: std::ops::Range<usize>,
        width: usize,
        x: &mut [f32],
    ) {
        let half = self.frequencies;
        by_rows(team, width, x, &|range, rows| {
            for (row, position) in rows.chunks_exact_mut(width).zip(&positions[range]) {
                let angles = *position as usize * half..(*position as usize + 1) * half;
                let (cosines, sines) = (&self.cosines[angles.clone()], &self.sines[angles]);
                for head in row[columns.clone()].chunks_exact_mut(self.head_size) {
                    let (first, second) = head[..2 * half].split_at_mut(half);
                    for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                        (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
                    }
                }
            }
        });
    }
}
