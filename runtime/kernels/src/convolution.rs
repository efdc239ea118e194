//! Convolution over the tokens of each sequence, with zeros before and after it.

use crate::rows::by_rows;
use crate::team::Team;

/// Fills `to [n, size * width]` with each token's row of `x [n, width]` between those of its neighbours, nearest tokens
/// nearest; zeros stand for what is outside of its sequence. A product with that is a convolution.
pub fn neighbours(team: &Team<'_>, offsets: &[usize], x: &[f32], width: usize, size: usize, to: &mut [f32]) {
    by_rows(team, size * width, to, &|range, to| {
        for (token, to) in range.zip(to.chunks_exact_mut(size * width)) {
            let sequence = sequence_of(offsets, token);
            for (place, to) in to.chunks_exact_mut(width).enumerate() {
                match (token + place).checked_sub(size / 2).filter(|other| sequence.contains(other)) {
                    Some(other) => to.copy_from_slice(&x[other * width..(other + 1) * width]),
                    None => to.fill(0.0),
                }
            }
        }
    });
}

fn sequence_of(offsets: &[usize], token: usize) -> std::ops::Range<usize> {
    let next = offsets.partition_point(|offset| *offset <= token);
    offsets[next - 1]..offsets[next]
}

/// A convolution in groups of columns.
#[derive(Clone, Copy)]
pub struct Convolution<'a> {
    /// `[outputs, inputs / groups, size]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    /// Columns of `x`.
    pub inputs: usize,
    /// Columns of the result.
    pub outputs: usize,
    /// Groups of columns that are convolved apart.
    pub groups: usize,
    /// Tokens that it reaches over, an odd number.
    pub size: usize,
}

impl Convolution<'_> {
    /// Fills `to [n, outputs]` from `x [n, inputs]`.
    pub fn run(&self, team: &Team<'_>, offsets: &[usize], x: &[f32], to: &mut [f32]) {
        let (inner, group) = (self.inputs / self.groups, self.outputs / self.groups);
        by_rows(team, self.outputs, to, &|range, to| {
            for (token, to) in range.zip(to.chunks_exact_mut(self.outputs)) {
                let sequence = sequence_of(offsets, token);
                for (output, to) in to.iter_mut().enumerate() {
                    let kernel = &self.weight[output * inner * self.size..][..inner * self.size];
                    *to = self.bias.map_or(0.0, |bias| bias[output]);
                    for place in 0..self.size {
                        let other = (token + place).checked_sub(self.size / 2);
                        let Some(other) = other.filter(|other| sequence.contains(other)) else { continue };
                        let row = &x[other * self.inputs + output / group * inner..][..inner];
                        let weights = kernel[place..].iter().step_by(self.size);
                        *to += row.iter().zip(weights).map(|(x, weight)| x * weight).sum::<f32>();
                    }
                }
            }
        });
    }
}
