//! Plans on GPUs beside those on the processor: the same steps over what is kept, with forks and sources; and what goes
//! wrong on a device.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::{Activation, AttentionOptions, Builder, CrossAttentionOptions, Graph, Rotary, alibi_slopes};
use runtime_tensor::{BLOCK, Batch, Cached, Device, Error, Gpu, GpuError, Matrix, Plan, Precision, compile, gpus};
use support::{Memory, Random, VOCABULARY, close, other_devices};

/// How far results may be apart after some layers.
const WITHIN: f32 = 2e-4;

/// Weights that do not make much of each rounding.
fn weights() -> Memory {
    let mut weights = support::weights();
    weights.0.values_mut().for_each(|(_, numbers)| numbers.iter_mut().for_each(|number| *number *= 0.3));
    weights
}

/// Layers of attention as decoders have it, with a gated layer between them.
fn decoder(weights: &Memory) -> Graph {
    let (graph, recording) = Builder::native("decoder", weights.catalog());
    let rotary = Rotary::plain(3, 2, 100.0);
    let mut x = graph.tensor("words.weight").rows(&graph.token_ids());
    for (window, soft_cap) in [(None, None), (Some(40), Some(2.0))] {
        let query = graph.linear("q").forward(&x).rotary(&rotary);
        let key = graph.linear_no_bias("k").forward(&x).rotary(&rotary);
        let value = graph.linear_no_bias("v").forward(&x);
        let options = AttentionOptions { window, soft_cap, ..AttentionOptions::causal(4, 2) };
        x = &x + &query.attention(&key, &value, options);
        let gated = graph.linear_no_bias("gated").forward(&x);
        x = graph
            .norm("norm", 1e-5)
            .forward(&(&gated.columns(0, 12).activation(Activation::Silu) * &gated.columns(12, 12)));
    }
    let (key, value) = (graph.linear_no_bias("k").forward(&x), graph.linear_no_bias("v").forward(&x));
    let (query, bias) = (graph.linear("q").forward(&x), graph.tensor("buckets.weight"));
    let options = AttentionOptions { window: Some(50), ..AttentionOptions::causal(4, 2) };
    x = &x + &query.attention_biased(&key, &value, &bias, 30, options);
    let slopes = graph.constant(alibi_slopes(4, 8.0));
    x = &x + &query.attention_alibi(&key, &value, &slopes, AttentionOptions::causal(4, 2));
    graph.output("states", &x);
    graph.output("asked", &graph.linear_no_bias("gated").forward(&x.select_rows()));
    recording.finish().expect("a graph")
}

fn tokens(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

/// A plan, with sequences that it keeps.
struct Kept {
    plan: Arc<dyn Plan>,
    cache: runtime_tensor::Cache,
    sequences: Vec<Cached>,
}

impl Kept {
    fn new(graph: &Graph, weights: &Memory, device: Device) -> Self {
        Self::in_precision(graph, weights, device, Precision::F32)
    }

    fn in_precision(graph: &Graph, weights: &Memory, device: Device, precision: Precision) -> Self {
        let plan = compile(graph, weights, device, precision).expect("it compiles");
        let cache = plan.cache(400).expect("a causal graph");
        Self { plan, cache, sequences: Vec::new() }
    }

    /// Goes on with some sequences; of each the row of its last token is asked for.
    fn step(&mut self, next: &[(usize, Vec<u32>)]) -> [Matrix; 2] {
        let mut batch = Batch::new();
        for (sequence, ids) in next {
            let cached = &mut self.sequences[*sequence];
            self.cache.reserve(cached, ids.len()).expect("there is room");
            batch.push_after(cached, ids);
            batch.ask_row(u32::try_from(batch.tokens()).expect("few tokens") - 1);
        }
        let outputs = self.plan.run_after(&batch, &mut self.cache).expect("it runs");
        next.iter().for_each(|(sequence, ids)| self.sequences[*sequence].advance(ids.len()));
        ["states", "asked"].map(|name| outputs.get(name).expect("an output").clone())
    }
}

#[test]
fn what_is_kept_is_as_on_the_processor() {
    let (weights, mut random) = (weights(), Random(3));
    let graph = decoder(&weights);
    for device in other_devices() {
        let mut both = [Device::Cpu, device].map(|device| Kept::new(&graph, &weights, device));
        for round in 0..60 {
            // New ones, forks, shortened ones, dropped ones.
            let count = both[0].sequences.len();
            let some = random.below(u32::try_from(count.max(1)).expect("few")) as usize;
            let (kind, cut) = (random.below(4), random.below(60) as usize);
            for kept in &mut both {
                match kind {
                    _ if count < 2 => kept.sequences.push(Cached::new()),
                    0 if count < 7 => kept.sequences.push(kept.sequences[some].clone()),
                    1 => {
                        let length = kept.sequences[some].tokens().saturating_sub(cut);
                        kept.sequences[some].truncate(length);
                    }
                    2 if count > 4 => drop(kept.sequences.swap_remove(some)),
                    _ => {}
                }
            }
            let count = both[0].sequences.len();
            let mut next = Vec::new();
            for sequence in 0..count {
                if random.below(3) > 0 {
                    let length = [1, 1, 4, 5, 33, 90][random.below(6) as usize];
                    next.push((sequence, tokens(&mut random, length)));
                }
            }
            let [cpu, gpu] = both.each_mut().map(|kept| kept.step(&next));
            for (name, (found, expected)) in ["states", "asked"].iter().zip(gpu.iter().zip(&cpu)) {
                close(&format!("round {round}, {name}"), WITHIN, found, expected);
            }
        }
        for kept in &mut both {
            kept.sequences.clear();
            assert_eq!(kept.cache.held(), 0);
        }
    }
}

#[test]
fn halves_take_half_of_the_memory() {
    let (weights, mut random) = (weights(), Random(6));
    let graph = decoder(&weights);
    for device in other_devices().into_iter().filter(|device| matches!(device, Device::Gpu(_))) {
        let single = Kept::new(&graph, &weights, device.clone());
        let mut cpu = Kept::new(&graph, &weights, Device::Cpu);
        let mut halves = Kept::in_precision(&graph, &weights, device, Precision::Bf16);
        assert_eq!(2 * halves.cache.block_bytes(), single.cache.block_bytes());
        for kept in [&mut cpu, &mut halves] {
            kept.sequences.push(Cached::new());
        }
        for length in [70, 1, 33, 1, 1] {
            let next = [(0, tokens(&mut random, length))];
            for (found, expected) in halves.step(&next).iter().zip(&cpu.step(&next)) {
                // Weights and what is kept have 11 bits, and there are some layers.
                close("halves", 2e-2, found, expected);
                assert_ne!(found.data, expected.data, "something is rounded");
            }
        }
    }
}

#[test]
fn sources_are_as_on_the_processor() {
    let (weights, mut random) = (weights(), Random(4));
    let (builder, recording) = Builder::native("sources", weights.catalog());
    let source = builder.tensor("words.weight").rows(&builder.source_ids());
    let source = &source
        + &builder.linear("q").forward(&source).attention(
            &builder.linear_no_bias("k").forward(&source),
            &builder.linear_no_bias("v").forward(&source),
            AttentionOptions { key_value_heads: 2, ..AttentionOptions::bidirectional(4) },
        );
    let x = builder.tensor("words.weight").rows(&builder.token_ids());
    let (key, value) = (builder.linear_no_bias("k").forward(&x), builder.linear_no_bias("v").forward(&x));
    let x = &x + &builder.linear("q").forward(&x).attention(&key, &value, AttentionOptions::causal(4, 2));
    let (key, value) = (builder.linear_no_bias("k").forward(&source), builder.linear_no_bias("v").forward(&source));
    let options = CrossAttentionOptions { heads: 4, key_value_heads: 2, scale: None };
    builder.output("states", &(&x + &builder.linear("q").forward(&x).cross_attention(&key, &value, options)));
    let graph = recording.finish().expect("a graph");
    for device in other_devices() {
        let texts: Vec<(Vec<u32>, Vec<Vec<u32>>)> = [(5, 3), (1, 1), (70, 9), (33, 40)]
            .map(|(source, text)| {
                (tokens(&mut random, source), vec![tokens(&mut random, text), tokens(&mut random, 1)])
            })
            .into();
        let [cpu, gpu] = [Device::Cpu, device].map(|device| {
            let mut kept = Kept::new(&graph, &weights, device);
            let (mut sources, mut batch) = (vec![Cached::new(); texts.len()], Batch::new());
            for (cached, (source, _)) in sources.iter_mut().zip(&texts) {
                kept.cache.reserve(cached, source.len()).expect("room");
                batch.push_after(cached, source);
            }
            kept.plan.read_sources(&batch, &mut kept.cache).expect("it reads");
            sources.iter_mut().zip(&texts).for_each(|(cached, (source, _))| cached.advance(source.len()));
            kept.sequences = vec![Cached::new(); texts.len()];
            [0, 1].map(|part| {
                let mut batch = Batch::new();
                for ((cached, source), (_, text)) in kept.sequences.iter_mut().zip(&sources).zip(&texts) {
                    kept.cache.reserve(cached, text[part].len()).expect("room");
                    batch.push_after_source(cached, source, &text[part]);
                }
                let outputs = kept.plan.run_after(&batch, &mut kept.cache).expect("it runs");
                kept.sequences.iter_mut().zip(&texts).for_each(|(cached, (_, text))| cached.advance(text[part].len()));
                outputs.get("states").expect("states").clone()
            })
        });
        for (part, (found, expected)) in gpu.iter().zip(&cpu).enumerate() {
            close(&format!("part {part}"), WITHIN, found, expected);
        }
    }
}

#[test]
fn more_blocks_than_at_first_keep_what_is_in_them() {
    let (weights, mut random) = (weights(), Random(6));
    let graph = decoder(&weights);
    for device in other_devices() {
        let mut both = [Device::Cpu, device].map(|device| Kept::new(&graph, &weights, device));
        both.iter_mut().for_each(|kept| kept.sequences = vec![Cached::new(); 5]);
        for _ in 0..9 {
            let next: Vec<_> = (0..5).map(|sequence| (sequence, tokens(&mut random, 2 * BLOCK + 1))).collect();
            let [cpu, gpu] = both.each_mut().map(|kept| kept.step(&next));
            close("asked", WITHIN, &gpu[1], &cpu[1]);
        }
        assert!(both[1].cache.held() > 64, "it has grown");
    }
}

#[test]
fn a_lost_gpu_is_told_and_another_one_goes_on() {
    let weights = weights();
    let graph = decoder(&weights);
    for adapter in gpus() {
        let gpu = Gpu::open(&adapter).expect("it opens");
        let plan = compile(&graph, &weights, Device::Gpu(gpu.clone()), Precision::F32).expect("it compiles");
        let mut batch = Batch::new();
        batch.push(&[1, 2, 3], &[]);
        batch.ask_row(2);
        let before = plan.run(&batch).expect("it runs");
        assert!(plan.is_usable());
        gpu.destroy();
        for _ in 0..2 {
            let error = plan.run(&batch).expect_err("it is lost");
            assert!(matches!(error, Error::Gpu(GpuError::Lost { .. })), "{error}");
        }
        assert!(!plan.is_usable());
        let gpu = Gpu::open(&adapter).expect("it opens anew");
        let plan = compile(&graph, &weights, Device::Gpu(gpu), Precision::F32).expect("it compiles");
        assert_eq!(plan.run(&batch).expect("it runs"), before);
    }
}

#[test]
fn what_has_no_room_is_refused_before_it_is_uploaded() {
    let weights = weights();
    let graph = decoder(&weights);
    for mut adapter in gpus() {
        adapter.memory = Some(2000);
        let Ok(gpu) = Gpu::open(&adapter) else { continue };
        let error = compile(&graph, &weights, Device::Gpu(gpu), Precision::F32).err().expect("it is too small");
        let text = error.to_string();
        assert!(text.contains("bytes") && text.contains(&adapter.name), "{text}");
    }
}
