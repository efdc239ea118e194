//! Each operator of the CPU backend against a plain computation in double precision, on batches with empty sequences,
//! single tokens and sizes that divide by nothing.

#![expect(clippy::cast_precision_loss, reason = "sizes of a few dozen")]

mod support;

use runtime_graph::{Activation, AttentionOptions, Builder, Catalog, DType, Pooling, Value};
use runtime_tensor::{Batch, Device, Error, Precision, compile};
use support::{BATCHES, VOCABULARY, WIDTH, Wide, agree, batch, embedded, product, run, weights};

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

#[test]
fn norms_without_a_weight_of_their_own() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        // A third of the row apart, then all of it centred.
        let by_parts = x.iter().map(|row| {
            let part = |part: &[f64]| {
                let mean = part.iter().map(|x| x * x).sum::<f64>() / part.len() as f64;
                part.iter().map(|x| 0.7 * x / (mean + 1e-5).sqrt()).collect::<Vec<_>>()
            };
            row.chunks(WIDTH as usize / 3).flat_map(part).collect()
        });
        let found = run(&weights, &batch, |graph, x| x.rms_norm(&graph.ones(WIDTH / 3).scale(0.7), 1e-5));
        agree("rms-norm of parts", &found, &by_parts.collect());
        let centred = x.iter().map(|row| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
            row.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
        });
        let found = run(&weights, &batch, |graph, x| x.layer_norm(&graph.ones(WIDTH), Some(&graph.zeros(WIDTH)), 1e-5));
        agree("layer-norm without weight", &found, &centred.collect());
    }
}

#[test]
fn parts_of_rows_side_by_side() {
    let weights = weights();
    let wide = weights.wide("q.weight");
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let y = product(&x, &wide, None);
        for (parts, first, width) in [(1, 3, 5), (2, 2, 6), (3, 0, 12), (4, 8, 4)] {
            let row = |(x, y): (&Vec<f64>, &Vec<f64>)| {
                let y = &y[first..first + width];
                let pairs = x.chunks(x.len() / parts).zip(y.chunks(width / parts));
                pairs.flat_map(|(x, y)| [x, y].concat()).collect::<Vec<_>>()
            };
            let expected: Wide = x.iter().zip(&y).map(row).collect();
            let [parts, first, width] = [parts, first, width].map(|size| u32::try_from(size).expect("small"));
            let found = run(&weights, &batch, |graph, x| {
                let y = graph.linear_no_bias("q").forward(x).columns(first, width);
                x.join(&y, parts)
            });
            agree("join", &found, &expected);
        }
    }
    // Of weights alone: the table of words, joined with half of its columns.
    let batch = batch(BATCHES[0]);
    let words = weights.wide("words.weight");
    let found = run(&weights, &batch, |graph, _| {
        let table = graph.tensor("words.weight");
        table.join(&table.columns(0, 6), 3).rows(&graph.token_ids())
    });
    let expected = batch.token_ids().iter().map(|id| {
        let row = &words[*id as usize * WIDTH as usize..][..WIDTH as usize];
        (0..3).flat_map(|part| [&row[part * 4..][..4], &row[part * 2..][..2]].concat()).collect()
    });
    agree("join of weights", &found, &expected.collect());
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
    let formulas: [(Activation, &dyn Fn(f64) -> f64); 8] = [
        (Activation::Gelu, &gelu),
        (Activation::GeluTanh, &tanh_gelu),
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::Silu, &|x| x * sigmoid(x)),
        (Activation::Tanh, &f64::tanh),
        (Activation::Sigmoid, &sigmoid),
        (Activation::Softplus, &|x| x.exp().ln_1p()),
        (Activation::Exp, &f64::exp),
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
            agree("attention", &found, &attention(options, [0.0; 4], &batch, &q, &k, &v));
            let slopes = [0.5, 0.03, 0.0, 2.0];
            let found = run(&weights, &batch, |graph, x| {
                let part = |name: &str| graph.linear_no_bias(name).forward(x);
                let query = graph.linear("q").forward(x);
                query.attention_alibi(&part("k"), &part("v"), &graph.constant(slopes), options)
            });
            agree("attention with slopes", &found, &attention(options, slopes, &batch, &q, &k, &v));
        }
    }
}

fn attention(options: AttentionOptions, slopes: [f64; 4], batch: &Batch, q: &Wide, k: &Wide, v: &Wide) -> Wide {
    let size = WIDTH as usize / options.heads as usize;
    let scale = options.scale.unwrap_or(1.0 / (size as f64).sqrt());
    let mut result = vec![vec![0.0; WIDTH as usize]; batch.tokens()];
    for span in batch.spans() {
        for (token, head) in span.clone().flat_map(|token| (0..options.heads as usize).map(move |head| (token, head))) {
            let shared = head / (options.heads / options.key_value_heads) as usize;
            let seen = span.start..if options.causal { token + 1 } else { span.end };
            let dot =
                |other: usize| (0..size).map(|i| q[token][head * size + i] * k[other][shared * size + i]).sum::<f64>();
            let far = |other: usize| slopes[head] * token.abs_diff(other) as f64;
            let weights: Vec<f64> = seen.clone().map(|other| (dot(other) * scale - far(other)).exp()).collect();
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

/// Found by fuzzing: there was to be room for what such a weight makes before it was read.
#[test]
fn a_weight_that_is_not_as_large_as_it_says_takes_no_memory() {
    let catalog = Catalog::new([("words.weight", vec![u32::MAX, u32::MAX], DType::F32)], "");
    let (builder, recording) = Builder::native("test", catalog);
    builder.output("y", &builder.tensor("words.weight").transpose());
    let graph = recording.finish().expect("well formed");
    let error = compile(&graph, &weights(), Device::Cpu, Precision::F32).err().expect("it is another weight");
    assert!(matches!(&error, Error::WeightShape { name, .. } if name == "words.weight"), "{error}");
}
