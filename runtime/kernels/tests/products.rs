//! Products against plain sums in double precision, over sizes that divide by nothing, for each precision and each
//! instruction set that this processor has.

mod support;

use half::bf16;
use runtime_kernels::{Activation, Finish, Isa, Norm, Packed, Precision, Product, Quantized, Team};
use support::{bits, numbers};

/// Inputs and outputs.
const SHAPES: [(usize, usize); 9] =
    [(1, 1), (3, 5), (16, 16), (17, 33), (64, 47), (100, 97), (384, 48), (385, 80), (1000, 65)];
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

/// A product to be checked.
struct Case {
    inputs: usize,
    outputs: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    isa: Isa,
    precision: Precision,
}

impl Case {
    fn new(isa: Isa, precision: Precision, (inputs, outputs): (usize, usize)) -> Self {
        let (weight, bias) = (numbers(1, inputs * outputs), numbers(2, outputs));
        Self { inputs, outputs, weight, bias, isa, precision }
    }

    fn packed(&self) -> Packed {
        let mut packed = Packed::zeros_for(self.isa, self.precision, self.outputs, self.inputs);
        // In two parts, as weights that are joined come.
        let first = self.outputs / 3;
        packed.set(0, &self.weight[..first * self.inputs]);
        packed.set(first, &self.weight[first * self.inputs..]);
        packed
    }

    fn run(&self, threads: usize, x: &[f32], finish: Finish<'_>) -> Vec<f32> {
        let (packed, mut to) = (self.packed(), vec![f32::NAN; x.len() / self.inputs * self.outputs]);
        let product = Product { x, weight: &packed, finish };
        Team::of(threads, |team| product.run(team, &mut Quantized::new(), &mut to));
        to
    }

    /// What bytes multiply each input by, from the rows that are set first.
    #[expect(clippy::cast_precision_loss, reason = "a mean of few numbers")]
    fn balance(&self) -> Vec<f32> {
        let first = if self.outputs < 3 { self.outputs } else { self.outputs / 3 };
        let squares = |input: usize| self.weight[..first * self.inputs][input..].iter().step_by(self.inputs);
        let norms: Vec<f32> = (0..self.inputs).map(|input| squares(input).map(|w| w * w).sum::<f32>().sqrt()).collect();
        let mean = norms.iter().sum::<f32>() / self.inputs as f32;
        norms.iter().map(|norm| (norm / mean).sqrt().clamp(0.25, 4.0)).collect()
    }

    /// `x weight^T` in double precision, and how far a result may be from it.
    fn expected(&self, x: &[f32]) -> Vec<(f64, f64)> {
        let balance = self.balance();
        let output = |x: &[f32], weight: &[f32]| match self.precision {
            Precision::F32 => (dot(x, weight), 4e-5),
            // What is lost by rounding weights is not the kernel's: it is compared with rounded ones.
            Precision::Bf16 => {
                let weight: Vec<f32> = weight.iter().map(|w| bf16::from_f32(*w).to_f32()).collect();
                (dot(x, &weight), 4e-5)
            }
            Precision::Int8 => {
                let balanced = |weight: &[f32]| weight.iter().zip(&balance).map(|(w, b)| w / b).collect::<Vec<f32>>();
                quantized(&x.iter().zip(&balance).map(|(x, b)| x * b).collect::<Vec<f32>>(), &balanced(weight))
            }
        };
        let rows = x.chunks_exact(self.inputs);
        rows.flat_map(|x| self.weight.chunks_exact(self.inputs).map(move |weight| output(x, weight))).collect()
    }
}

fn dot(x: &[f32], weight: &[f32]) -> f64 {
    x.iter().zip(weight).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
}

/// The product of bytes as the crate's documentation has it, computed plainly.
fn quantized(x: &[f32], weight: &[f32]) -> (f64, f64) {
    let largest = weight.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
    let scale = largest / 63.0;
    let (low, high) = x.iter().fold((0.0f32, 0.0f32), |(low, high), x| (low.min(*x), high.max(*x)));
    let step = (high - low) / 127.0;
    let zero = (-low / step).round();
    let term = |(x, w): (&f32, &f32)| {
        let q = (x / step + zero).round_ties_even().clamp(0.0, 127.0) - zero;
        f64::from(q * step) * f64::from((w / scale).round() * scale)
    };
    let exact: f64 = x.iter().zip(weight).map(term).sum();
    // A number half way between two bytes may become either.
    (exact, f64::from(step) * f64::from(largest) * 2.0 + 4e-5)
}

#[test]
fn products_agree_with_plain_sums() {
    for isa in Isa::available() {
        for precision in PRECISIONS {
            for shape in SHAPES {
                let case = Case::new(*isa, precision, shape);
                for rows in [1, 2, 5, 6, 7, 13, 31, 70, 130] {
                    let x = numbers(3, rows * case.inputs);
                    let found = case.run(1, &x, Finish::default());
                    for (index, (found, (expected, tolerance))) in found.iter().zip(case.expected(&x)).enumerate() {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(
                            error <= tolerance * (1.0 + expected.abs()),
                            "{} {precision:?} {shape:?}, {rows} rows, number {index}: {found}, not {expected}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn integer_sums_are_the_same_for_all_instruction_sets() {
    let x = numbers(3, 7 * 385);
    let results = Isa::available().iter().map(|isa| {
        let case = Case::new(*isa, Precision::Int8, (385, 80));
        bits(&case.run(1, &x, Finish::default()))
    });
    let results: Vec<_> = results.collect();
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn a_row_is_the_same_among_any_rows_and_for_any_number_of_threads() {
    for isa in Isa::available() {
        for precision in PRECISIONS {
            for shape in [(17, 33), (385, 80), (1000, 65)] {
                let case = Case::new(*isa, precision, shape);
                let rows = 230;
                let x = numbers(4, rows * case.inputs);
                let finish = Finish { bias: Some(&case.bias), activation: Some(Activation::Gelu), ..Finish::default() };
                let together = case.run(1, &x, finish);
                for threads in [2, 3, 7] {
                    assert_eq!(bits(&case.run(threads, &x, finish)), bits(&together), "{threads} threads");
                }
                for (first, count) in [(0, 1), (229, 1), (3, 2), (10, 6), (100, 17), (50, 100)] {
                    for threads in [1, 2] {
                        let alone = case.run(threads, &x[first * case.inputs..][..count * case.inputs], finish);
                        let part = &together[first * case.outputs..][..count * case.outputs];
                        assert_eq!(
                            bits(&alone),
                            bits(part),
                            "{} {precision:?} {shape:?}, rows {first} + {count}, {threads} threads",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_follows_a_product_is_done_in_order() {
    let (rows, shape) = (71, (64, 47));
    for isa in Isa::available() {
        let case = Case::new(*isa, Precision::F32, shape);
        let x = numbers(5, rows * case.inputs);
        let (factor, add) = (numbers(6, rows * case.outputs), numbers(7, rows * case.outputs));
        let (weight, shift) = (numbers(8, case.outputs), numbers(9, case.outputs));
        for centred in [true, false] {
            let norm = Norm { centred, weight: &weight, bias: centred.then_some(&shift[..]), epsilon: 1e-5 };
            let finish = Finish {
                bias: Some(&case.bias),
                activation: Some(Activation::Silu),
                factor: Some(&factor),
                add: Some(&add),
                norm: Some(norm),
            };
            let sums = case.expected(&x);
            let expected = sums.chunks(case.outputs).enumerate().flat_map(|(row, sums)| {
                let number = |(column, (sum, _)): (usize, &(f64, f64))| {
                    let at = row * case.outputs + column;
                    let x = sum + f64::from(case.bias[column]);
                    x / (1.0 + (-x).exp()) * f64::from(factor[at]) + f64::from(add[at])
                };
                let numbers: Vec<f64> = sums.iter().enumerate().map(number).collect();
                let count = f64::from(u32::try_from(case.outputs).expect("a small width"));
                let mean = if centred { numbers.iter().sum::<f64>() / count } else { 0.0 };
                let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                let normal = |(column, x): (usize, &f64)| {
                    let bias = if centred { f64::from(shift[column]) } else { 0.0 };
                    (x - mean) / (variance + 1e-5).sqrt() * f64::from(weight[column]) + bias
                };
                numbers.iter().enumerate().map(normal).collect::<Vec<f64>>()
            });
            let expected: Vec<f64> = expected.collect();
            // Many rows are normalised by the tasks that compute them, few after all of them.
            for (threads, rows) in [(1, rows), (2, rows), (2, 9)] {
                let count = rows * case.outputs;
                let finish = Finish { factor: Some(&factor[..count]), add: Some(&add[..count]), ..finish };
                let found = case.run(threads, &x[..rows * case.inputs], finish);
                for (found, expected) in found.iter().zip(&expected) {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error <= 1e-4 * (1.0 + expected.abs()), "{}: {found}, not {expected}", isa.name());
                }
            }
        }
    }
}

#[test]
fn a_product_may_be_finished_later() {
    for precision in PRECISIONS {
        for shape in [(64, 47), (100, 97), (385, 80)] {
            let case = Case::new(Isa::best(), precision, shape);
            for rows in [0, 1, 9, 130] {
                let x = numbers(5, rows * case.inputs);
                let (factor, add) = (numbers(6, rows * case.outputs), numbers(7, rows * case.outputs));
                let weight = numbers(8, case.outputs);
                let norm = Norm { centred: true, weight: &weight, bias: Some(&case.bias), epsilon: 1e-5 };
                let finish = Finish {
                    bias: Some(&case.bias),
                    activation: Some(Activation::Gelu),
                    factor: Some(&factor),
                    add: Some(&add),
                    norm: Some(norm),
                };
                let mut later = case.run(2, &x, Finish::default());
                Team::of(2, |team| finish.run(team, case.outputs, &mut later));
                assert_eq!(bits(&later), bits(&case.run(2, &x, finish)), "{precision:?} {shape:?}, {rows} rows");
            }
        }
    }
}
