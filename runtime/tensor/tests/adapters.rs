//! Adapters beside a plan's weights: a sequence with one gets what a plan with changed weights computes, one without gets
//! the bits of a plan that knows of none, and neither depends on what runs beside it.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::{Activation, AttentionOptions, Builder, Pooling};
use runtime_tensor::{Batch, Device, Error, LowRank, LowRanks, Outputs, Plan, PlanAdapter, Precision, compile};
use support::{Memory, Random, VOCABULARY, WIDTH, other_devices, weights};

/// The products of the graph: those that are joined, cut up, fused with what follows, of pooled rows and of rows asked for.
const PRODUCTS: [&str; 6] = ["q", "k", "v", "gated", "wide", "down"];

fn memory() -> Memory {
    let mut memory = weights();
    let mut random = Random(5);
    let numbers = (0..WIDTH * 37).map(|_| random.number() / 4.0).collect();
    memory.0.insert("down.weight".to_owned(), (vec![WIDTH, 37], numbers));
    memory
}

fn plan(weights: &Memory) -> Arc<dyn Plan> {
    plan_on(&Device::Cpu, weights)
}

fn plan_on(device: &Device, weights: &Memory) -> Arc<dyn Plan> {
    let (graph, recording) = Builder::native("adapted", weights.catalog());
    let h = WIDTH;
    let x = graph.embedding("words").rows(&graph.token_ids());
    let (query, key) = (graph.linear("q").forward(&x), graph.linear_no_bias("k").forward(&x));
    let value = graph.linear_no_bias("v").forward(&x);
    let x = &x + &query.attention(&key, &value, AttentionOptions::causal(4, 2));
    let gated = graph.linear_no_bias("gated").forward(&x);
    let (gate, up) = (gated.columns(0, h), gated.columns(h, h));
    let x = graph.norm("norm", 1e-5).forward(&(&x + &(&gate.activation(Activation::Silu) * &up)));
    let wide = graph.linear("wide").forward(&x).activation(Activation::Gelu);
    let states = &x + &graph.linear_no_bias("down").forward(&wide);
    graph.output("states", &states);
    graph.output("asked", &graph.linear("wide").forward(&states.select_rows()));
    graph.output("pooled", &graph.linear("wide").forward(&states.pool(Pooling::Mean)));
    compile(&recording.finish().expect("a graph"), weights, device.clone(), Precision::F32).expect("a plan")
}

/// A random adapter: of these products the first may have a bias, and every other one has factors.
fn low_ranks(weights: &Memory, names: &[&str], rank: usize, seed: u64) -> LowRanks {
    let mut random = Random(seed);
    let change = |(place, name): (usize, &&str)| {
        let name = format!("{name}.weight");
        let (outputs, inputs) = match weights.0[&name].0[..] {
            [outputs, inputs] => (outputs as usize, inputs as usize),
            _ => panic!("{name} is a matrix"),
        };
        let mut numbers = |count: usize| (0..count).map(|_| random.number() / 5.0).collect::<Vec<f32>>();
        let (a, b) = (numbers(rank * inputs), numbers(rank * outputs));
        let factors = (place % 2 == 1).then(|| numbers(outputs).iter().map(|x| 1.0 + x).collect());
        let has_bias = weights.0.contains_key(&name.replace("weight", "bias"));
        let bias = (place == 0 && has_bias).then(|| numbers(outputs));
        (name, LowRank { rank, a, b, factors, bias })
    };
    names.iter().enumerate().map(change).collect()
}

/// The weights of a model in which an adapter was merged.
fn merged(mut weights: Memory, low_ranks: &LowRanks) -> Memory {
    for (name, LowRank { rank, a, b, factors, bias }) in low_ranks {
        let (shape, numbers) = weights.0.get_mut(name).expect("a weight");
        let inputs = shape[1] as usize;
        for (output, row) in numbers.chunks_exact_mut(inputs).enumerate() {
            for (input, number) in row.iter_mut().enumerate() {
                let sum: f32 = (0..*rank).map(|place| b[output * rank + place] * a[place * inputs + input]).sum();
                *number = *number * factors.as_ref().map_or(1.0, |factors| factors[output]) + sum;
            }
        }
        if let Some(bias) = bias {
            let (_, numbers) = weights.0.get_mut(&name.replace("weight", "bias")).expect("a bias");
            numbers.iter_mut().zip(bias).for_each(|(number, bias)| *number += bias);
        }
    }
    weights
}

fn ids(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

/// What is computed of sequences, each with its adapter; the first and last row of each are asked for.
fn run(plan: &dyn Plan, sequences: &[(&[u32], Option<&PlanAdapter>)]) -> Outputs {
    let mut batch = Batch::new();
    for (ids, adapter) in sequences {
        let first = u32::try_from(batch.tokens()).expect("few tokens");
        batch.push(ids, &[]);
        if let Some(adapter) = adapter {
            batch.adapt(adapter);
        }
        if !ids.is_empty() {
            batch.ask_row(u32::try_from(batch.tokens()).expect("few tokens") - 1);
            batch.ask_row(first);
        }
    }
    plan.run(&batch).expect("it runs")
}

/// The numbers of one sequence among those of all.
fn of_sequence(outputs: &Outputs, lengths: &[usize], sequence: usize) -> Vec<f32> {
    let rows = |name: &str, first: usize, count: usize| {
        let matrix = outputs.get(name).expect("an output");
        matrix.data[first * matrix.width..(first + count) * matrix.width].to_vec()
    };
    let before: usize = lengths[..sequence].iter().sum();
    let asked = 2 * lengths[..sequence].iter().filter(|length| **length > 0).count();
    let mut all = rows("states", before, lengths[sequence]);
    all.extend(rows("asked", asked, if lengths[sequence] > 0 { 2 } else { 0 }));
    all.extend(rows("pooled", sequence, 1));
    all
}

#[test]
fn each_sequence_is_computed_with_its_own_adapter() {
    check(&Device::Cpu);
    other_devices().iter().for_each(check);
}

/// The processor gives the same bits in any batch.
fn check(device: &Device) {
    let exact = matches!(device, Device::Cpu);
    let plan = |weights: &Memory| plan_on(device, weights);
    let plain = plan(&memory());
    let kinds = [(PRODUCTS.as_slice(), 3), (&["v", "q"], 1), (&["gated"], 20), (&["wide", "k", "down"], 7)];
    let kinds = kinds.map(|(names, rank)| low_ranks(&memory(), names, rank, rank as u64 + 1));
    let adapters = kinds.each_ref().map(|low_ranks| plain.adapter(low_ranks).expect("it fits"));
    let changed = kinds.map(|low_ranks| plan(&merged(memory(), &low_ranks)));
    let mut random = Random(9);
    for round in 0..12 {
        let lengths: Vec<usize> = (0..7).map(|_| [0, 1, 2, 9, 40][random.below(5) as usize]).collect();
        let texts: Vec<Vec<u32>> = lengths.iter().map(|length| ids(&mut random, *length)).collect();
        let chosen: Vec<Option<usize>> = texts.iter().map(|_| (random.below(5) as usize).checked_sub(1)).collect();
        let with: Vec<_> =
            texts.iter().zip(&chosen).map(|(ids, chosen)| (&ids[..], chosen.map(|chosen| &adapters[chosen]))).collect();
        let all = run(&*plain, &with);
        for (sequence, (text, chosen)) in texts.iter().zip(&chosen).enumerate() {
            let found = of_sequence(&all, &lengths, sequence);
            let length = [lengths[sequence]];
            let alone = of_sequence(&run(&*plain, &with[sequence..=sequence]), &length, 0);
            let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            if exact {
                assert_eq!(bits(&found), bits(&alone), "round {round}, sequence {sequence}: its neighbours matter");
            }
            let by = chosen.map_or(&plain, |chosen| &changed[chosen]);
            let expected = of_sequence(&run(&**by, &[(text, None)]), &length, 0);
            if exact && chosen.is_none() {
                assert_eq!(bits(&found), bits(&expected), "round {round}, sequence {sequence}: it has no adapter");
            }
            for (found, expected) in found.iter().zip(&expected) {
                let off = (found - expected).abs() / (1.0 + expected.abs());
                assert!(off < 1e-3, "round {round}, sequence {sequence}, adapter {chosen:?}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn an_adapter_that_does_not_fit_is_refused() {
    let plan = plan(&memory());
    let mut table = low_ranks(&memory(), &["q"], 2, 1);
    let change = table.pop_first().expect("one").1;
    table.insert("words.weight".to_owned(), change);
    let refused = |low_ranks: &LowRanks| plan.adapter(low_ranks).expect_err("it does not fit").to_string();
    assert_eq!(refused(&table), "the adapter changes `words.weight`, which cannot be done beside the model's weights");
    let mut short = low_ranks(&memory(), &["q"], 2, 1);
    short.get_mut("q.weight").expect("it is there").a.pop();
    assert_eq!(refused(&short), "the adapter has 23 numbers for `q.weight`, where 24 are needed");
    let other = self::plan(&memory()).adapter(&low_ranks(&memory(), &["q"], 2, 1)).expect("it fits");
    let mut batch = Batch::new();
    batch.push(&[1, 2], &[]);
    batch.push(&[3], &[]);
    batch.adapt(&other);
    let error = plan.run(&batch).expect_err("it is of another plan");
    assert!(matches!(error, Error::OtherAdapter { sequence: 1 }), "{error}");
}
