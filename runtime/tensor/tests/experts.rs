//! Mixtures of experts: against a plain computation in double precision, and the same bits in any batch and precision.

#[expect(dead_code, reason = "this test needs few of the weights")]
mod support;

use std::sync::Arc;

use runtime_graph::{Activation, Builder, Expert, ExpertsOptions, Value};
use runtime_tensor::{Batch, Device, Plan, Precision, compile};
use support::{BATCHES, Memory, VOCABULARY, Wide, agree, batch, product, run};

const EXPERTS: u32 = 6;
/// Wide enough for weights in less than single precision.
const WIDTH: u32 = 64;
const INNER: u32 = 72;

fn weights() -> Memory {
    let names: Vec<String> =
        (0..EXPERTS).flat_map(|expert| ["gate", "up", "down"].map(|part| format!("{expert}.{part}"))).collect();
    let shape = |name: &str| -> &[u32] { if name.ends_with("down") { &[WIDTH, INNER] } else { &[INNER, WIDTH] } };
    let mut shapes: Vec<(&str, &[u32])> = names.iter().map(|name| (name.as_str(), shape(name))).collect();
    shapes.extend([
        ("words.weight", [VOCABULARY, WIDTH].as_slice()),
        ("router.weight", &[EXPERTS, WIDTH]),
        ("share.weight", &[1, WIDTH]),
    ]);
    let mut memory = Memory::new(&shapes);
    // Small enough for the sums of products of products to stay near 1.
    memory.0.values_mut().flat_map(|(_, numbers)| numbers).for_each(|number| *number *= 0.1);
    memory
}

fn options(top_k: u32, normalise: bool) -> ExpertsOptions {
    ExpertsOptions { top_k, normalise, activation: Activation::Silu }
}

fn mixed(graph: &Builder, x: &Value, options: ExpertsOptions) -> Value {
    let part = |expert: u32, part: &str| graph.tensor(&format!("{expert}.{part}"));
    let expert = |at| Expert { gate: part(at, "gate"), up: part(at, "up"), down: part(at, "down") };
    let experts: Vec<Expert> = (0..EXPERTS).map(expert).collect();
    x.experts(&graph.linear_no_bias("router").forward(x), &experts, options)
}

/// By the definition: each expert on each row, times its weight or nothing.
fn expected(weights: &Memory, x: &Wide, options: ExpertsOptions) -> Wide {
    let made: Vec<Wide> = (0..EXPERTS)
        .map(|expert| {
            let part = |x: &Wide, part: &str| product(x, &weights.wide(&format!("{expert}.{part}")), None);
            let (gate, up) = (part(x, "gate"), part(x, "up"));
            let silu = |x: f64| x / (1.0 + (-x).exp());
            let inner = gate.iter().zip(&up).map(|(gate, up)| gate.iter().zip(up).map(|(g, u)| silu(*g) * u).collect());
            part(&inner.collect(), "down")
        })
        .collect();
    let logits = product(x, &weights.wide("router.weight"), None);
    let row = |(row, logits): (usize, &Vec<f64>)| {
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut order: Vec<usize> = (0..EXPERTS as usize).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        let chosen = &order[..options.top_k as usize];
        let share: f64 = chosen.iter().map(|expert| logits[*expert].exp() / total).sum();
        let divisor = if options.normalise { share } else { 1.0 };
        let sum = |at: usize| {
            chosen.iter().map(|expert| logits[*expert].exp() / total / divisor * made[*expert][row][at]).sum()
        };
        (0..WIDTH as usize).map(sum).collect()
    };
    logits.iter().enumerate().map(row).collect()
}

fn embedded(weights: &Memory, batch: &Batch) -> Wide {
    let words = weights.wide("words.weight");
    batch.token_ids().iter().map(|id| words[(id * WIDTH) as usize..][..WIDTH as usize].to_vec()).collect()
}

#[test]
fn each_row_goes_through_its_experts_alone() {
    let weights = weights();
    for (top_k, normalise) in [(2, true), (2, false), (1, true), (6, false)] {
        for lengths in BATCHES {
            let batch = batch(lengths);
            let found = run(&weights, &batch, |graph, x| mixed(graph, x, options(top_k, normalise)));
            agree("experts", &found, &expected(&weights, &embedded(&weights, &batch), options(top_k, normalise)));
        }
    }
}

#[test]
fn a_column_scales_rows() {
    let weights = weights();
    for lengths in BATCHES {
        let batch = batch(lengths);
        let x = embedded(&weights, &batch);
        let share = product(&x, &weights.wide("share.weight"), None);
        let scaled = x.iter().zip(&share).map(|(row, share)| row.iter().map(|x| x * share[0]).collect()).collect();
        // The column is a product itself, and so is what it scales.
        let found = run(&weights, &batch, |graph, x| x * &graph.linear_no_bias("share").forward(x));
        agree("a value by rows", &found, &scaled);
        let inner = product(&x, &weights.wide("0.gate"), None);
        let scaled = inner.iter().zip(&share).map(|(row, share)| row.iter().map(|x| x * share[0]).collect()).collect();
        let found = run(&weights, &batch, |graph, x| {
            &x.linear(&graph.tensor("0.gate"), None) * &graph.linear_no_bias("share").forward(x)
        });
        agree("a product by rows", &found, &scaled);
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_batch_and_precision() {
    let weights = weights();
    let plan = |precision| -> Arc<dyn Plan> {
        let (builder, recording) = Builder::native("test", weights.catalog());
        let x = builder.embedding("words").rows(&builder.token_ids());
        builder.output("y", &mixed(&builder, &x, options(2, true)));
        compile(&recording.finish().expect("well formed"), &weights, Device::Cpu, precision).expect("it compiles")
    };
    let whole = batch(&[130, 1, 33]);
    let exact = expected(&weights, &embedded(&weights, &whole), options(2, true));
    for (precision, near) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.01), (Precision::Int8, 0.1)] {
        let plan = plan(precision);
        let run = |batch: &Batch| plan.run(batch).expect("it runs").get("y").expect("an output").clone();
        let together = run(&whole);
        for (row, id) in whole.token_ids().iter().enumerate() {
            let mut alone = Batch::new();
            alone.push(&[*id], &[]);
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(run(&alone).row(0)), bits(together.row(row)), "{precision:?}, row {row}");
            let off = together.row(row).iter().zip(&exact[row]).map(|(found, exact)| (f64::from(*found) - exact).abs());
            let off = off.fold(0.0, f64::max);
            assert!(off < near, "{precision:?}, row {row}: {off}");
        }
    }
}
