//! Convolution over the tokens of each sequence.

use crate::Batch;

/// The weights `[o, inner, size]` and `[o]`.
pub(crate) struct Convolution<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) groups: usize,
    /// Columns of a group.
    pub(crate) inner: usize,
    /// Tokens that the kernel reaches over, an odd number.
    pub(crate) size: usize,
}

impl Convolution<'_> {
    /// `x [n, groups * inner]` gives `to [n, o]`; outside of a sequence all is zero.
    pub(crate) fn run(&self, batch: &Batch, x: &[f32], to: &mut [f32]) {
        let (outputs, width) = (self.bias.len(), self.groups * self.inner);
        let per_group = outputs / self.groups;
        for span in batch.spans() {
            for token in span.clone() {
                for (output, to) in to[token * outputs..(token + 1) * outputs].iter_mut().enumerate() {
                    let first = output / per_group * self.inner;
                    let kernel = &self.weight[output * self.inner * self.size..][..self.inner * self.size];
                    let terms = (0..self.size).filter_map(|place| {
                        let other = (token + place).checked_sub(self.size / 2).filter(|other| span.contains(other))?;
                        let row = &x[other * width + first..][..self.inner];
                        Some(row.iter().enumerate().map(|(i, x)| x * kernel[i * self.size + place]).sum::<f32>())
                    });
                    *to = self.bias[output] + terms.sum::<f32>();
                }
            }
        }
    }
}
