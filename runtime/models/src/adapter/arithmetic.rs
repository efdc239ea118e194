//! What an adapter does to the numbers of a weight. Sums are taken in double precision.

/// The shape of a weight that is changed, and whether it is stored as inputs by outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) transposed: bool,
}

impl Layout {
    fn place(self, output: usize, input: usize) -> usize {
        if self.transposed { input * self.outputs + output } else { output * self.inputs + input }
    }
}

/// Adds `scale b a`, with `a [rank, inputs]` and `b [outputs, rank]`.
pub(super) fn add_product(to: &mut [f32], layout: Layout, a: &[f32], b: &[f32], scale: f64) {
    let rank = a.len() / layout.inputs.max(1);
    let mut row = vec![0.0_f64; layout.inputs];
    for output in 0..layout.outputs {
        row.fill(0.0);
        for (b, a) in b[output * rank..(output + 1) * rank].iter().zip(a.chunks_exact(layout.inputs)) {
            row.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
        }
        for (input, sum) in row.iter().enumerate() {
            let number = &mut to[layout.place(output, input)];
            *number = narrow(f64::from(*number) + scale * sum);
        }
    }
}

/// Gives the weights of each output the length that DoRA stores for it.
pub(super) fn set_lengths(weights: &mut [f32], layout: Layout, lengths: &[f32]) {
    for (output, length) in lengths.iter().enumerate() {
        let square = |input: usize| f64::from(weights[layout.place(output, input)]).powi(2);
        let squares: f64 = (0..layout.inputs).map(square).sum();
        let factor = f64::from(*length) / squares.sqrt();
        for input in 0..layout.inputs {
            let number = &mut weights[layout.place(output, input)];
            *number = narrow(f64::from(*number) * factor);
        }
    }
}

/// Adds `scale` times the numbers of `other`.
pub(super) fn add_scaled(to: &mut [f32], other: &[f32], scale: f64) {
    to.iter_mut().zip(other).for_each(|(number, other)| *number += narrow(scale * f64::from(*other)));
}

#[expect(clippy::cast_possible_truncation, reason = "weights have single precision")]
fn narrow(number: f64) -> f32 {
    number as f32
}
