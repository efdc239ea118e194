//! Each operator of the CPU backend against a plain computation in double precision, on batches with empty sequences,
//! single tokens and sizes that divide by nothing.

#![expect(clippy::cast_precision_loss, reason = "sizes of a few dozen")]

use std::collections::BTreeMap;

use runtime_graph::{Activation, AttentionOptions, Builder, Catalog, DType, Pooling, Value};
use runtime_tensor::{Batch, Device, Error, Matrix, Precision, StoredTensor, Weights, compile};

const VOCABULARY: u32 = 23;
const WIDTH: u32 = 12;

/// Weights in memory, by name.
struct Memory(BTreeMap<String, (Vec<u32>, Vec<f32>)>);

impl Memory {
    fn new(shapes: &[(&str, &[u32])]) -> Self {
        let mut random = Random(7);
        let tensors = shapes.iter().map(|(name, shape)| {
            let count = shape.iter().product::<u32>();
            ((*name).to_owned(), (shape.to_vec(), (0..count).map(|_| random.number()).collect()))
        });
        Self(tensors.collect())
    }

    fn catalog(&self) -> Catalog {
        Catalog::new(self.0.iter().map(|(name, (shape, _))| (name.clone(), shape.clone(), DType::F32)), "")
    }

    fn wide(&self, name: &str) -> Vec<f64> {
        self.0[name].1.iter().map(|x| f64::from(*x)).collect()
    }
}

impl Weights for Memory {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        let (shape, numbers) = self.0.get(name).ok_or("no such tensor")?;
        let shape = shape.iter().map(|size| *size as usize).collect();
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into();
        Ok(StoredTensor { dtype: DType::F32, shape, bytes })
    }
}

/// A small generator (xorshift), so that runs are the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).expect("below a u32")
    }

    fn number(&mut self) -> f32 {
        f32::from(u16::try_from(self.next() % 4001).expect("below 4001")) / 1000.0 - 2.0
    }
}

fn weights() -> Memory {
    let (v, h) = (VOCABULARY, WIDTH);
    Memory::new(&[
        ("words.weight", &[v, h]),
        ("q.weight", &[h, h]),
        ("q.bias", &[h]),
        ("k.weight", &[h / 2, h]),
        ("v.weight", &[h / 2, h]),
        ("norm.weight", &[h]),
        ("norm.bias", &[h]),
        ("wide.weight", &[37, h]),
        ("wide.bias", &[37]),
    ])
}

/// Sequences of these lengths, with random tokens; every third token's row is asked for.
fn batch(lengths: &[usize]) -> Batch {
    let mut random = Random(11);
    let mut batch = Batch::new();
    for length in lengths {
        let ids: Vec<u32> = (0..*length).map(|_| random.below(VOCABULARY)).collect();
        batch.push(&ids, &[]);
    }
    (0..batch.tokens()).step_by(3).for_each(|token| batch.ask_row(u32::try_from(token).expect("few tokens")));
    batch
}

const BATCHES: &[&[usize]] = &[&[5], &[1], &[3, 0, 1, 70, 2], &[0], &[33, 32, 31]];

fn run(weights: &Memory, batch: &Batch, describe: impl Fn(&Builder, &Value) -> Value) -> Matrix {
    let (builder, recording) = Builder::native("test", weights.catalog());
    let x = builder.embedding("words").rows(&builder.token_ids());
    builder.output("y", &describe(&builder, &x));
    let graph = recording.finish().expect("the graph is well formed");
    let plan = compile(&graph, weights, Device::Cpu, Precision::F32).expect("it compiles");
    plan.run(batch).expect("it runs").get("y").expect("it has an output").clone()
}

type Wide = Vec<Vec<f64>>;

fn embedded(weights: &Memory, batch: &Batch) -> Wide {
    let (words, width) = (weights.wide("words.weight"), WIDTH as usize);
    batch.token_ids().iter().map(|id| words[*id as usize * width..][..width].to_vec()).collect()
}

fn product(x: &Wide, weight: &[f64], bias: Option<&[f64]>) -> Wide {
    let row = |x: &Vec<f64>| {
        let outputs = weight.chunks(x.len()).enumerate();
        let dot = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        outputs.map(|(index, w)| dot(w) + bias.map_or(0.0, |bias| bias[index])).collect()
    };
    x.iter().map(row).collect()
}

fn agree(what: &str, found: &Matrix, expected: &Wide) {
    assert_eq!(found.rows, expected.len(), "{what}: rows");
    for (index, expected) in expected.iter().enumerate() {
        for (found, expected) in found.row(index).iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= 2e-5 * (1.0 + expected.abs()), "{what}, row {index}: {found}, not {expected}");
        }
        assert_eq!(found.width, expected.len(), "{what}: width");
    }
}

#[test]
fn linear_with_and_without_bias() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let found = run(&weights, &batch, |graph, x| graph.linear("wide").forward(x));
        agree("linear", &found, &product(&x, &weights.wide("wide.weight"), Some(&weights.wide("wide.bias"))));
        let found = run(&weights, &batch, |graph, x| graph.linear_no_bias("k").forward(x));
        agree("linear without bias", &found, &product(&x, &weights.wide("k.weight"), None));
    }
}

#[test]
fn layer_norm() {
    let weights = weights();
    let (scale, shift) = (weights.wide("norm.weight"), weights.wide("norm.bias"));
    for lengths in BATCHES {
        let batch = batch(lengths);
        let expected = embedded(&weights, &batch).into_iter().map(|row| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
            let norm = |(i, x): (usize, &f64)| (x - mean) / (variance + 1e-5).sqrt() * scale[i] + shift[i];
            row.iter().enumerate().map(norm).collect()
        });
        let found = run(&weights, &batch, |graph, x| graph.norm("norm", 1e-5).forward(x));
        agree("layer-norm", &found, &expected.collect());
    }
}

/// The error function by its Taylor series, exact for the small numbers here.
fn erf(x: f64) -> f64 {
    let terms = (1..60).scan(x, |term, n| {
        *term *= -x * x / f64::from(n);
        Some(*term / f64::from(2 * n + 1))
    });
    (x + terms.sum::<f64>()) * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn activations_and_binaries() {
    let weights = weights();
    let batch = batch(&[3, 0, 1, 70, 2]);
    let x = embedded(&weights, &batch);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let tanh_gelu =
        |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh());
    let gelu = |x: f64| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()));
    let formulas: [(Activation, &dyn Fn(f64) -> f64); 6] = [
        (Activation::Gelu, &gelu),
        (Activation::GeluTanh, &tanh_gelu),
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::Silu, &|x| x * sigmoid(x)),
        (Activation::Tanh, &f64::tanh),
        (Activation::Sigmoid, &sigmoid),
    ];
    let map = |f: &dyn Fn(f64) -> f64| x.iter().map(|row| row.iter().map(|x| f(*x)).collect()).collect::<Wide>();
    for (activation, formula) in formulas {
        agree(activation.name(), &run(&weights, &batch, |_, x| x.activation(activation)), &map(formula));
    }
    agree("add", &run(&weights, &batch, |_, x| x + x), &map(&|x| x + x));
    agree("multiply", &run(&weights, &batch, |_, x| x * x), &map(&|x| x * x));
}

#[test]
fn attention_of_shared_heads_in_both_directions() {
    let weights = weights();
    for (causal, scale) in [(false, None), (true, None), (true, Some(0.3))] {
        let options = AttentionOptions { key_value_heads: 2, causal, scale, ..AttentionOptions::bidirectional(4) };
        for lengths in BATCHES {
            let batch = batch(lengths);
            let x = embedded(&weights, &batch);
            let part = |name: &str, bias: Option<&[f64]>| product(&x, &weights.wide(name), bias);
            let (q, k, v) =
                (part("q.weight", Some(&weights.wide("q.bias"))), part("k.weight", None), part("v.weight", None));
            let found = run(&weights, &batch, |graph, x| {
                let part = |name: &str| graph.linear_no_bias(name).forward(x);
                graph.linear("q").forward(x).attention(&part("k"), &part("v"), options)
            });
            agree("attention", &found, &attention(options, &batch, &q, &k, &v));
        }
    }
}

fn attention(options: AttentionOptions, batch: &Batch, q: &Wide, k: &Wide, v: &Wide) -> Wide {
    let size = WIDTH as usize / options.heads as usize;
    let scale = options.scale.unwrap_or(1.0 / (size as f64).sqrt());
    let mut result = vec![vec![0.0; WIDTH as usize]; batch.tokens()];
    for span in batch.spans() {
        for (token, head) in span.clone().flat_map(|token| (0..options.heads as usize).map(move |head| (token, head))) {
            let shared = head / (options.heads / options.key_value_heads) as usize;
            let seen = span.start..if options.causal { token + 1 } else { span.end };
            let dot =
                |other: usize| (0..size).map(|i| q[token][head * size + i] * k[other][shared * size + i]).sum::<f64>();
            let weights: Vec<f64> = seen.clone().map(|other| (dot(other) * scale).exp()).collect();
            let total: f64 = weights.iter().sum();
            for i in 0..size {
                let sum: f64 = seen.clone().zip(&weights).map(|(other, w)| w * v[other][shared * size + i]).sum();
                result[token][head * size + i] = sum / total;
            }
        }
    }
    result
}

#[test]
fn pooling_and_chosen_rows() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        for pooling in Pooling::ALL {
            let pool = |span: std::ops::Range<usize>| {
                let rows = &x[span];
                let column = |i: usize| match pooling {
                    _ if rows.is_empty() => 0.0,
                    Pooling::First => rows[0][i],
                    Pooling::Last => rows[rows.len() - 1][i],
                    Pooling::Mean => rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64,
                    Pooling::Max => rows.iter().map(|row| row[i]).fold(f64::NEG_INFINITY, f64::max),
                };
                (0..WIDTH as usize).map(column).collect()
            };
            let found = run(&weights, &batch, |_, x| x.pool(pooling));
            agree(pooling.name(), &found, &batch.spans().map(pool).collect());
        }
        let asked = batch.rows().iter().map(|row| x[*row as usize].clone()).collect();
        agree("select-rows", &run(&weights, &batch, |_, x| x.select_rows()), &asked);
    }
}

#[test]
fn a_result_does_not_depend_on_its_batch() {
    let weights = weights();
    let encoder = |graph: &Builder, x: &Value| {
        let part = |name: &str| graph.linear_no_bias(name).forward(x);
        let x = &graph.linear("q").forward(x).attention(
            &part("k"),
            &part("v"),
            AttentionOptions { key_value_heads: 2, ..AttentionOptions::bidirectional(4) },
        ) + x;
        graph.linear("wide").forward(&graph.norm("norm", 1e-5).forward(&x)).pool(Pooling::Mean)
    };
    let lengths: Vec<usize> = (1..40).chain([70, 2, 130, 257]).collect();
    let packed = batch(&lengths);
    let together = run(&weights, &packed, encoder);
    for (index, span) in packed.spans().enumerate() {
        let mut alone = Batch::new();
        alone.push(&packed.token_ids()[span], &[]);
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let alone = run(&weights, &alone, encoder);
        assert_eq!(bits(alone.row(0)), bits(together.row(index)), "a sequence of {} tokens", lengths[index]);
    }
}

#[test]
fn what_cannot_be_computed_is_an_error() {
    let weights = weights();
    let (builder, recording) = Builder::native("test", weights.catalog());
    builder.max_sequence(4);
    builder.output("y", &builder.embedding("words").rows(&builder.token_ids()));
    let plan =
        compile(&recording.finish().expect("well formed"), &weights, Device::Cpu, Precision::F32).expect("compiles");

    let mut outside = Batch::new();
    outside.push(&[0, VOCABULARY], &[]);
    assert!(matches!(plan.run(&outside), Err(Error::Index { index: VOCABULARY, count: 23, .. })));
    let mut long = Batch::new();
    long.push(&[0; 4], &[]);
    long.push(&[0; 5], &[]);
    assert!(matches!(plan.run(&long), Err(Error::TooLong { sequence: 1, tokens: 5, limit: 4 })));
}
