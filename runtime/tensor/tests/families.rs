//! What the families of encoders need beside BERT's operators, and what a plan makes of several operators, against plain
//! computations in double precision.

#![expect(clippy::cast_precision_loss, reason = "sizes of a few dozen")]

mod support;

use runtime_graph::{Activation, AttentionOptions, Builder, Positions, Rotary, bias_row, disentangled_row};
use runtime_tensor::{Device, Precision, compile};
use support::{BATCHES, Memory, VOCABULARY, WIDTH, Wide, agree, batch, embedded, other_devices, product, run, weights};

const H: usize = WIDTH as usize;

/// The columns from `start` on.
fn columns(x: &Wide, start: usize, width: usize) -> Wide {
    x.iter().map(|row| row[start..start + width].to_vec()).collect()
}

fn map(x: &Wide, function: impl Fn(f64) -> f64) -> Wide {
    x.iter().map(|row| row.iter().map(|x| function(*x)).collect()).collect()
}

fn both(a: &Wide, b: &Wide, function: impl Fn(f64, f64) -> f64) -> Wide {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| function(*a, *b)).collect()).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// A layer norm with `norm.weight` and no bias, or an RMS norm.
fn normal(x: &Wide, scale: &[f64], centred: bool) -> Wide {
    let row = |row: &Vec<f64>| {
        let mean = if centred { row.iter().sum::<f64>() / row.len() as f64 } else { 0.0 };
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
        row.iter().zip(scale).map(|(x, scale)| (x - mean) / (variance + 1e-5).sqrt() * scale).collect()
    };
    x.iter().map(row).collect()
}

#[test]
fn norms_without_bias_columns_and_scale() {
    let weights = weights();
    let scale = weights.wide("norm.weight");
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let found = run(&weights, &batch, |graph, x| x.rms_norm(&graph.tensor("norm.weight"), 1e-5));
        agree("rms-norm", &found, &normal(&x, &scale, false));
        let found = run(&weights, &batch, |_, x| x.columns(3, 5).scale(0.7));
        agree("columns and scale", &found, &map(&columns(&x, 3, 5), |x| 0.7 * x));
        let found = run(&weights, &batch, |_, x| x.columns(7, 5));
        agree("columns alone", &found, &columns(&x, 7, 5));
    }
}

#[test]
fn a_gated_layer_is_cut_in_two_products() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let all = product(&x, &weights.wide("gated.weight"), None);
        let gated = both(&map(&columns(&all, 0, H), silu), &columns(&all, H + 8, H), |a, b| a * b);
        let expected = product(&gated, &weights.wide("q.weight"), Some(&weights.wide("q.bias")));
        let found = run(&weights, &batch, |graph, x| {
            let all = graph.linear_no_bias("gated").forward(x);
            let gated = &all.columns(0, WIDTH).activation(Activation::Silu) * &all.columns(WIDTH + 8, WIDTH);
            graph.linear("q").forward(&gated)
        });
        agree("gated", &found, &expected);
    }
}

#[test]
fn sums_and_norms_of_shared_values() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        // The sum is read again after the norm, and the product of it is a result of its own.
        let sum = both(&product(&x, &weights.wide("q.weight"), Some(&weights.wide("q.bias"))), &x, |a, b| a + b);
        let normal = normal(&sum, &weights.wide("norm.weight"), false);
        let expected =
            both(&product(&normal, &weights.wide("q.weight"), Some(&weights.wide("q.bias"))), &sum, |a, b| a + b);
        let found = run(&weights, &batch, |graph, x| {
            let q = graph.linear("q");
            let sum = &q.forward(x) + x;
            &q.forward(&sum.rms_norm(&graph.tensor("norm.weight"), 1e-5)) + &sum
        });
        agree("a layer that normalises first", &found, &expected);
    }
}

fn turned(x: &Wide, positions: &[u32], size: usize) -> Wide {
    let turn = |(row, position): (&Vec<f64>, &u32)| {
        let number = |column: usize| {
            let (head, i) = (column / size * size, column % size);
            let half = size / 2;
            let angle = f64::from(*position) / 100f64.powf((2 * (i % half)) as f64 / size as f64);
            let (first, second) = (row[head + i % half], row[head + half + i % half]);
            if i < half {
                first * angle.cos() - second * angle.sin()
            } else {
                second * angle.cos() + first * angle.sin()
            }
        };
        (0..row.len()).map(number).collect()
    };
    x.iter().zip(positions).map(turn).collect()
}

#[test]
fn rotary_of_values_and_of_columns_that_others_read_too() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let expected = both(&turned(&x, batch.positions(), 4), &x, |a, b| a + b);
        agree("rotary", &run(&weights, &batch, |_, x| &x.rotary(&Rotary::plain(4, 4, 100.0)) + x), &expected);

        let all = product(&x, &weights.wide("gated.weight"), None);
        let part = turned(&columns(&all, 0, 8), batch.positions(), 4);
        let expected = both(&part, &columns(&all, 4, 8), |a, b| a + b);
        let found = run(&weights, &batch, |graph, x| {
            let all = graph.linear_no_bias("gated").forward(x);
            &all.columns(0, 8).rotary(&Rotary::plain(4, 4, 100.0)) + &all.columns(4, 8)
        });
        agree("rotary of columns", &found, &expected);
    }
}

#[test]
fn queries_keys_and_values_as_columns_of_one_product() {
    let weights = weights();
    let options = AttentionOptions { window: Some(2), ..AttentionOptions::bidirectional(4) };
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let all = product(&x, &weights.wide("gated.weight"), None);
        let q = turned(&columns(&all, 0, 8), batch.positions(), 2);
        let k = turned(&columns(&all, 8, 8), batch.positions(), 2);
        let expected = attention(&batch, &q, &k, &columns(&all, 16, 8), 4, |query, key, _| {
            (query.abs_diff(key) <= 2).then_some(0.0)
        });
        let found = run(&weights, &batch, |graph, x| {
            let all = graph.linear_no_bias("gated").forward(x);
            let part = |start| all.columns(start, 8);
            part(0).rotary(&Rotary::plain(2, 2, 100.0)).attention(
                &part(8).rotary(&Rotary::plain(2, 2, 100.0)),
                &part(16),
                options,
            )
        });
        agree("attention over columns", &found, &expected);
    }
}

/// Attention with what `term` adds to the score of a query and a key in a head, where it is seen.
fn attention(
    batch: &runtime_tensor::Batch,
    q: &Wide,
    k: &Wide,
    v: &Wide,
    heads: usize,
    term: impl Fn(usize, usize, usize) -> Option<f64>,
) -> Wide {
    let width = q.first().map_or(0, Vec::len);
    let size = width / heads;
    let mut result = vec![vec![0.0; width]; batch.tokens()];
    for span in batch.spans() {
        for (query, head) in span.clone().flat_map(|query| (0..heads).map(move |head| (query, head))) {
            let dot = |key: usize| (head * size..(head + 1) * size).map(|i| q[query][i] * k[key][i]).sum::<f64>();
            let score = |key: usize| Some((key, dot(key) / (size as f64).sqrt() + term(query, key, head)?));
            let seen: Vec<(usize, f64)> = span.clone().filter_map(score).collect();
            let total: f64 = seen.iter().map(|(_, score)| score.exp()).sum();
            for i in head * size..(head + 1) * size {
                result[query][i] = seen.iter().map(|(key, score)| score.exp() * v[*key][i]).sum::<f64>() / total;
            }
        }
    }
    result
}

#[test]
fn terms_of_distance() {
    let weights = weights();
    let (buckets, distances) = (weights.wide("buckets.weight"), weights.wide("distances.weight"));
    let offset = |query: usize, key: usize| i64::try_from(key).expect("small") - i64::try_from(query).expect("small");
    let size = (H / 4) as f64;
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        for causal in [false, true] {
            let options = AttentionOptions { causal, ..AttentionOptions::bidirectional(4) };
            let expected = attention(&batch, &x, &x, &x, 4, |query, key, head| {
                let row = bias_row(offset(query, key), 16, 20, causal) as usize;
                (!causal || key <= query).then(|| buckets[row * 4 + head])
            });
            let found = run(&weights, &batch, |graph, x| {
                x.attention_biased(x, x, &graph.tensor("buckets.weight"), 20, options)
            });
            agree("bias", &found, &expected);
        }
        for (keys, queries) in [(true, false), (false, true), (true, true)] {
            for max_distance in [None, Some(30)] {
                let options = AttentionOptions::bidirectional(4);
                // The tables are computed from weights: they are constants of the plan.
                let table =
                    product(&distances.chunks(H).map(<[f64]>::to_vec).collect(), &weights.wide("q.weight"), None);
                let expected = attention(&batch, &x, &x, &x, 4, |query, key, head| {
                    let row = &table[disentangled_row(-offset(query, key), 8, max_distance) as usize];
                    let dot =
                        |token: usize| (head * H / 4..(head + 1) * H / 4).map(|i| x[token][i] * row[i]).sum::<f64>();
                    let sum = if keys { dot(query) } else { 0.0 } + if queries { dot(key) } else { 0.0 };
                    Some(sum / size.sqrt())
                });
                let found = run(&weights, &batch, |graph, x| {
                    let table = graph.tensor("distances.weight").linear(&graph.tensor("q.weight"), None);
                    let (keys, queries) = (keys.then_some(&table), queries.then_some(&table));
                    x.attention_disentangled(x, x, Positions { keys, queries, max_distance }, options)
                });
                agree("disentangled", &found, &expected);
            }
        }
    }
}

#[test]
fn convolutions_stay_within_their_sequence() {
    let weights = weights();
    // Of few columns in each group, and of as many as are worth a product.
    let small = [("near", 1, H, 3, true), ("groups", 3, 2 * H, 5, false)];
    for (name, groups, outputs, size, bias) in small {
        check_convolution(&weights, (name, groups, outputs, size, bias), false);
    }
    for (name, groups, outputs, size, bias) in [("near_in_groups", 3, 60, 3, false), ("points", 2, 5 * H, 1, true)] {
        check_convolution(&weights, (name, groups, outputs, size, bias), true);
    }
}

fn check_convolution(
    weights: &Memory,
    (name, groups, outputs, size, has_bias): (&str, usize, usize, usize, bool),
    widened: bool,
) {
    let weight = weights.wide(&format!("{name}.weight"));
    let bias = has_bias.then(|| weights.wide(&format!("{name}.bias")));
    for lengths in BATCHES {
        let batch = batch(lengths);
        let mut x = embedded(weights, &batch);
        if widened {
            x = product(&x, &weights.wide("widen.weight"), None);
        }
        let inner = if widened { 4 * H } else { H } / groups;
        let mut expected = vec![vec![0.0; outputs]; batch.tokens()];
        for span in batch.spans() {
            for (token, output) in span.clone().flat_map(|token| (0..outputs).map(move |output| (token, output))) {
                let first = output / (outputs / groups) * inner;
                let mut sum = bias.as_ref().map_or(0.0, |bias| bias[output]);
                for place in 0..size {
                    let other = (token + place).checked_sub(size / 2).filter(|other| span.contains(other));
                    let Some(other) = other else { continue };
                    let terms = (0..inner).map(|i| x[other][first + i] * weight[(output * inner + i) * size + place]);
                    sum += terms.sum::<f64>();
                }
                expected[token][output] = sum;
            }
        }
        let found = run(weights, &batch, |graph, x| {
            let widen = || graph.linear_no_bias("widen").forward(x);
            let x = if widened { widen() } else { x.clone() };
            let bias = has_bias.then(|| graph.tensor(&format!("{name}.bias")));
            let groups = u32::try_from(groups).expect("few");
            x.convolution(&graph.tensor(&format!("{name}.weight")), bias.as_ref(), groups)
        });
        agree(name, &found, &expected);
    }
}

#[test]
fn weights_in_less_precision_give_nearly_the_same() {
    let wide = 96;
    let weights = Memory::new(&[
        ("words.weight", &[VOCABULARY, wide]),
        ("up.weight", &[2 * wide, wide]),
        ("up.bias", &[2 * wide]),
        ("down.weight", &[wide, 2 * wide]),
        ("norm.weight", &[wide]),
        ("norm.bias", &[wide]),
    ]);
    let batch = batch(&[5, 1, 70, 33]);
    let run = |precision, device| {
        let (builder, recording) = Builder::native("test", weights.catalog());
        let mut x = builder.embedding("words").rows(&builder.token_ids());
        for _ in 0..3 {
            let inner = builder.linear("up").forward(&x).activation(Activation::Gelu);
            x = builder.norm("norm", 1e-5).forward(&(&builder.linear_no_bias("down").forward(&inner) + &x));
        }
        builder.output("y", &x);
        let graph = recording.finish().expect("well formed");
        let plan = compile(&graph, &weights, device, precision).expect("it compiles");
        plan.run(&batch).expect("it runs").get("y").expect("it is there").data.clone()
    };
    let exact = run(Precision::F32, Device::Cpu);
    let length = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let check = |precision, device: Device, most| {
        let what = format!("{precision:?} on {device:?}");
        let rough = run(precision, device);
        let difference: Vec<f32> = rough.iter().zip(&exact).map(|(a, b)| a - b).collect();
        let off = length(&difference) / length(&exact);
        assert!(off > 1e-6, "{what} is not the same as single precision");
        assert!(off < most, "{what} is off by {off}");
    };
    for (precision, most) in [(Precision::Bf16, 0.01), (Precision::Int8, 0.03)] {
        check(precision, Device::Cpu, most);
    }
    other_devices().into_iter().for_each(|device| check(Precision::Bf16, device, 0.01));
}
