//! States that are kept: a sequence gives the same bits however it is cut into runs and whatever runs beside it, also after
//! forks and when it is shortened to whole blocks; elsewhere it cannot go on. On GPUs the results are those of the processor.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::{Activation, AttentionOptions, Builder, Graph, Value};
use runtime_tensor::{
    BLOCK, Batch, Cache, Cached, Device, Error, Matrix, Outputs, Place, Plan, Precision, Share, compile,
};
use support::{Memory, Random, VOCABULARY, close, open_gpus};

const HIDDEN: u32 = 12;
const INNER: u32 = 20;
const STATES: u32 = 3;
const RANK: u32 = 2;

fn weights() -> Memory {
    let mut weights = Memory::new(&[
        ("words.weight", &[VOCABULARY, HIDDEN]),
        ("in.weight", &[2 * INNER, HIDDEN]),
        ("near.weight", &[INNER, 1, 4]),
        ("near.bias", &[INNER]),
        ("far.weight", &[HIDDEN, 40]),
        ("select.weight", &[RANK + 2 * STATES, INNER]),
        ("step.weight", &[INNER, RANK]),
        ("step.bias", &[INNER]),
        ("decay", &[INNER, STATES]),
        ("skip", &[INNER]),
        ("out.weight", &[HIDDEN, INNER]),
    ]);
    weights.0.values_mut().for_each(|(_, numbers)| numbers.iter_mut().for_each(|number| *number *= 0.25));
    weights
}

/// Two layers as Mamba has them, with attention between them where asked, and a convolution that reaches over blocks.
fn graph(weights: &Memory, attention: bool) -> Graph {
    let (graph, recording) = Builder::native("recurrent", weights.catalog());
    let mut x = graph.tensor("words.weight").rows(&graph.token_ids());
    for layer in 0..2 {
        x = graph.layer(layer, |graph| mixer(graph, layer, &x));
        if attention && layer == 0 {
            x = &x + &x.attention(&x, &x, AttentionOptions::causal(2, 2));
        }
    }
    x = x.causal_convolution(&graph.tensor("far.weight"), None);
    graph.output("states", &x);
    recording.finish().expect("a graph")
}

fn mixer(graph: &Builder, layer: u32, x: &Value) -> Value {
    let [inner, gate] = graph.linear_no_bias("in").forward(x).split();
    let inner = inner.causal_convolution(&graph.tensor("near.weight"), Some(&graph.tensor("near.bias")));
    let inner = inner.activation(Activation::Silu);
    let selected = graph.linear_no_bias("select").forward(&inner);
    let delta = graph.linear("step").forward(&selected.columns(0, RANK)).activation(Activation::Softplus);
    let (b, c) = (selected.columns(RANK, STATES), selected.columns(RANK + STATES, STATES));
    let decay = graph.tensor("decay").activation(Activation::Exp).scale(-1.0);
    let skip = (layer == 0).then(|| graph.tensor("skip"));
    let y = inner.selective_scan(&delta, &decay, &b, &c, skip.as_ref());
    x + &graph.linear_no_bias("out").forward(&(&y * &gate.activation(Activation::Silu)))
}

fn plan(weights: &Memory, attention: bool, device: impl Into<Place>) -> Arc<dyn Plan> {
    compile(&graph(weights, attention), weights, device, Precision::F32).expect("a plan")
}

/// Each layer on a device of its own, both of which are the processor.
fn two_parts() -> Place {
    Place::Shares([0..1, 1..2].map(|layers| Share { device: Device::Cpu, layers }).into())
}

fn tokens(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

fn whole(plan: &dyn Plan, ids: &[u32]) -> Vec<u32> {
    let mut batch = Batch::new();
    batch.push(ids, &[]);
    bits(&plan.run(&batch).expect("it runs"))
}

fn states(outputs: &Outputs) -> &Matrix {
    outputs.get("states").expect("states")
}

fn bits(outputs: &Outputs) -> Vec<u32> {
    states(outputs).data.iter().map(|x| x.to_bits()).collect()
}

/// Runs the next tokens of some sequences.
fn try_step(plan: &dyn Plan, cache: &mut Cache, next: &mut [(&mut Cached, &[u32])]) -> Result<Outputs, Error> {
    let mut batch = Batch::new();
    for (cached, ids) in next.iter_mut() {
        cache.reserve(cached, ids.len()).expect("there is room");
        batch.push_after(cached, ids);
    }
    let outputs = plan.run_after(&batch, cache)?;
    next.iter_mut().for_each(|(cached, ids)| cached.advance(ids.len()));
    Ok(outputs)
}

/// The same, and the bits of each.
fn step(plan: &dyn Plan, cache: &mut Cache, next: &mut [(&mut Cached, &[u32])]) -> Vec<Vec<u32>> {
    let mut rest = bits(&try_step(plan, cache, next).expect("it runs"));
    let cut = |(_, ids): &(&mut Cached, &[u32])| {
        let later = rest.split_off(ids.len() * HIDDEN as usize);
        std::mem::replace(&mut rest, later)
    };
    next.iter().map(cut).collect()
}

#[test]
fn a_sequence_is_the_same_however_it_is_cut_into_runs() {
    let (weights, mut random) = (weights(), Random(3));
    for round in 0..12 {
        let attention = round % 2 == 0;
        let single = plan(&weights, attention, Device::Cpu);
        let plan = if round % 3 == 0 { plan(&weights, attention, two_parts()) } else { Arc::clone(&single) };
        assert!(!plan.rewinds());
        let mut cache = plan.cache(100).expect("a causal graph");
        let lengths = [1, 31, 32, 33, 150].map(|length| length + random.below(4) as usize);
        let texts = lengths.map(|length| tokens(&mut random, length));
        let mut kept: Vec<Cached> = texts.iter().map(|_| Cached::new()).collect();
        let mut found: Vec<Vec<u32>> = texts.iter().map(|_| Vec::new()).collect();
        while kept.iter().zip(&texts).any(|(cached, text)| cached.tokens() < text.len()) {
            let mut chosen = Vec::new();
            let mut sequences: Vec<(&mut Cached, &[u32])> = Vec::new();
            for (index, (cached, text)) in kept.iter_mut().zip(&texts).enumerate() {
                let (done, most) = (cached.tokens(), [1, 1, 5, 70][random.below(4) as usize]);
                if done < text.len() && random.below(3) > 0 {
                    chosen.push(index);
                    sequences.push((cached, &text[done..text.len().min(done + most)]));
                }
            }
            for (index, bits) in chosen.into_iter().zip(step(&*plan, &mut cache, &mut sequences)) {
                found[index].extend(bits);
            }
        }
        for (text, found) in texts.iter().zip(found) {
            assert_eq!(found, whole(&*single, text), "{} tokens", text.len());
        }
        drop(kept);
        assert_eq!(cache.held(), 0);
    }
}

#[test]
fn a_sequence_may_be_cut_at_every_place() {
    let weights = weights();
    let plan = plan(&weights, false, Device::Cpu);
    let text = tokens(&mut Random(4), 2 * BLOCK + 7);
    let expected = whole(&*plan, &text);
    for cut in 0..=text.len() {
        let mut cache = plan.cache(10).expect("a causal graph");
        let mut cached = Cached::new();
        let mut found = Vec::new();
        for part in [&text[..cut], &text[cut..]] {
            found.extend(step(&*plan, &mut cache, &mut [(&mut cached, part)]).remove(0));
        }
        assert_eq!(found, expected, "cut at {cut}");
    }
}

#[test]
fn forks_go_their_own_ways_and_whole_blocks_can_be_gone_back_to() {
    let (weights, mut random) = (weights(), Random(5));
    for attention in [false, true] {
        let plan = plan(&weights, attention, Device::Cpu);
        let mut cache = plan.cache(100).expect("a causal graph");
        let prompt = tokens(&mut random, 2 * BLOCK + 5);
        let mut first = Cached::new();
        step(&*plan, &mut cache, &mut [(&mut first, &prompt)]);
        let mut second = first.clone();
        let (a, b) = (tokens(&mut random, BLOCK), tokens(&mut random, 3));
        let found = step(&*plan, &mut cache, &mut [(&mut first, &a), (&mut second, &b)]);
        for (ids, found) in [&a, &b].into_iter().zip(found) {
            let all = whole(&*plan, &[&prompt[..], ids].concat());
            assert_eq!(found, all[all.len() - found.len()..]);
        }

        // Of tokens within a block nothing is known any more.
        let again = tokens(&mut random, 40);
        second.truncate(BLOCK + 3);
        let refused = try_step(&*plan, &mut cache, &mut [(&mut second, &again)]).expect_err("it has no state");
        assert!(matches!(refused, Error::Rewound { sequence: 0, tokens: 35 }), "{refused}");
        second.truncate(BLOCK);
        let found = step(&*plan, &mut cache, &mut [(&mut second, &again)]).remove(0);
        let all = whole(&*plan, &[&prompt[..BLOCK], &again].concat());
        assert_eq!(found, all[all.len() - found.len()..]);
        first.truncate(0);
        assert_eq!(step(&*plan, &mut cache, &mut [(&mut first, &again)]).remove(0), whole(&*plan, &again));
        drop((first, second));
        assert_eq!(cache.held(), 0);
    }
}

#[test]
fn a_run_that_is_refused_changes_nothing() {
    let (weights, mut random) = (weights(), Random(6));
    let plan = plan(&weights, false, Device::Cpu);
    let mut cache = plan.cache(100).expect("a causal graph");
    let text = tokens(&mut random, 50);
    let mut cached = Cached::new();
    step(&*plan, &mut cache, &mut [(&mut cached, &text[..40])]);
    let outside = [VOCABULARY];
    let refused = try_step(&*plan, &mut cache, &mut [(&mut cached, &outside)]);
    assert!(matches!(refused, Err(Error::Index { .. })));
    let found = step(&*plan, &mut cache, &mut [(&mut cached, &text[40..])]).remove(0);
    let all = whole(&*plan, &text);
    assert_eq!(found, all[all.len() - found.len()..]);
}

#[test]
fn a_part_that_fails_leaves_states_that_nobody_goes_on_from() {
    let (weights, mut random) = (weights(), Random(8));
    let (builder, recording) = Builder::native("positions", weights.catalog());
    let words = builder.tensor("words.weight");
    let mut x = words.rows(&builder.token_ids());
    for layer in 0..2 {
        x = builder.layer(layer, |graph| mixer(graph, layer, &x));
    }
    // There are fewer positions than the first part reads.
    let x = builder.layer(1, |graph| &x + &words.rows(&graph.positions(0)));
    builder.output("states", &x);
    let graph = recording.finish().expect("a graph");
    let plan = compile(&graph, &weights, two_parts(), Precision::F32).expect("a plan");
    let mut cache = plan.cache(9).expect("a causal graph");
    let text = tokens(&mut random, VOCABULARY as usize + 1);
    let (mut cached, mut other) = (Cached::new(), Cached::new());
    step(&*plan, &mut cache, &mut [(&mut cached, &text[..20]), (&mut other, &text[..20])]);
    let refused = try_step(&*plan, &mut cache, &mut [(&mut cached, &text[20..])]);
    assert!(matches!(refused, Err(Error::Index { .. })));
    let torn = try_step(&*plan, &mut cache, &mut [(&mut cached, &text[20..21])]).expect_err("its state is lost");
    assert!(matches!(torn, Error::TornState { sequence: 0 }), "{torn}");
    let found = step(&*plan, &mut cache, &mut [(&mut other, &text[20..22])]).remove(0);
    let all = whole(&*plan, &text[..22]);
    assert_eq!(found, all[all.len() - found.len()..]);
}

#[test]
fn operands_must_fit() {
    let weights = weights();
    let refused = |describe: &dyn Fn(&Builder)| {
        let (builder, recording) = Builder::native("wrong", weights.catalog());
        describe(&builder);
        recording.finish().expect_err("it does not fit").to_string()
    };
    let words = |builder: &Builder| builder.tensor("words.weight").rows(&builder.token_ids());
    let told = refused(&|builder| {
        let _result = words(builder).causal_convolution(&builder.tensor("near.weight"), None);
    });
    assert!(told.contains("causal-convolution") && told.contains("`[12, k]` or `[12, 1, k]`"), "{told}");
    let told = refused(&|builder| {
        let inner = builder.linear_no_bias("in").forward(&words(builder)).columns(0, INNER);
        let b = inner.columns(0, STATES + 1);
        let _result = inner.selective_scan(&inner, &builder.tensor("decay"), &b, &b, None);
    });
    assert!(told.contains("selective-scan") && told.contains("b and c must be `[n, 3]`"), "{told}");
}

/// A plan, with sequences that it keeps.
struct Kept {
    plan: Arc<dyn Plan>,
    cache: Cache,
    sequences: Vec<Cached>,
}

#[test]
fn what_is_kept_on_a_gpu_is_as_on_the_processor() {
    let (weights, mut random) = (weights(), Random(7));
    for gpu in open_gpus() {
        let mut both = [Device::Cpu, Device::Gpu(gpu.clone())].map(|device| {
            let plan = plan(&weights, true, device);
            let cache = plan.cache(400).expect("a causal graph");
            Kept { plan, cache, sequences: Vec::new() }
        });
        for round in 0..50 {
            // New ones, forks, shortened ones, dropped ones.
            let count = both[0].sequences.len();
            let some = random.below(u32::try_from(count.max(1)).expect("few")) as usize;
            let (kind, cut) = (random.below(4), random.below(60) as usize);
            for kept in &mut both {
                match kind {
                    _ if count < 2 => kept.sequences.push(Cached::new()),
                    0 if count < 7 => kept.sequences.push(kept.sequences[some].clone()),
                    1 => {
                        let length = kept.sequences[some].tokens().saturating_sub(cut) / BLOCK * BLOCK;
                        kept.sequences[some].truncate(length);
                    }
                    2 if count > 4 => drop(kept.sequences.swap_remove(some)),
                    _ => {}
                }
            }
            let next: Vec<Vec<u32>> = (0..both[0].sequences.len())
                .map(|_| {
                    let length = [0, 1, 1, 4, 33, 90][random.below(6) as usize];
                    tokens(&mut random, length)
                })
                .collect();
            let [cpu, gpu] = both.each_mut().map(|kept| {
                let mut parts: Vec<(&mut Cached, &[u32])> =
                    kept.sequences.iter_mut().zip(&next).map(|(cached, ids)| (cached, &ids[..])).collect();
                states(&try_step(&*kept.plan, &mut kept.cache, &mut parts).expect("it runs")).clone()
            });
            close(&format!("round {round}"), 1e-4, &gpu, &cpu);
        }
        for kept in &mut both {
            kept.sequences.clear();
            assert_eq!(kept.cache.held(), 0);
        }
    }
}
