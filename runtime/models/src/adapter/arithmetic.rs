//! What an adapter does to the numbers of a weight. Sums are taken in double precision.

/// The shape of a weight that is changed, and whether it is stored as inputs by outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) transposed: bool,
}

impl Layout {
    /// As the weight is stored.
    pub(super) fn shape(self) -> [usize; 2] {
        if self.transposed { [self.inputs, self.outputs] } else { [self.outputs, self.inputs] }
    }

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
    let before = self::lengths(weights, layout);
    for (output, (length, before)) in lengths.iter().zip(before).enumerate() {
        let factor = f64::from(*length) / before;
        for input in 0..layout.inputs {
            let number = &mut weights[layout.place(output, input)];
            *number = narrow(f64::from(*number) * factor);
        }
    }
}

/// The length of the weights of each output.
pub(super) fn lengths(weights: &[f32], layout: Layout) -> Vec<f64> {
    let of_output = |output: usize| {
        let square = |input: usize| f64::from(weights[layout.place(output, input)]).powi(2);
        (0..layout.inputs).map(square).sum::<f64>().sqrt()
    };
    (0..layout.outputs).map(of_output).collect()
}

/// Adds `scale` times the numbers of `other`.
pub(super) fn add_scaled(to: &mut [f32], other: &[f32], scale: f64) {
    to.iter_mut().zip(other).for_each(|(number, other)| *number += narrow(scale * f64::from(*other)));
}

#[expect(clippy::cast_possible_truncation, reason = "weights have single precision")]
pub(super) fn narrow(number: f64) -> f32 {
    number as f32
}
