//! Plans of which several devices have the layers: the bits of a plan for one device, whatever is kept, forked, truncated,
//! adapted or read as a source; layers that go where there is room; and what is refused.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::ops::Range;
use std::sync::Arc;

use runtime_graph::{Activation, AttentionOptions, Builder, CrossAttentionOptions, Graph, Pooling, Rotary, Value};
use runtime_tensor::{
    BLOCK, Batch, Cache, Cached, Device, Error, Gpu, Greatest, LowRank, LowRanks, Matrix, Outputs, Place, Plan,
    PlanAdapter, Precision, Share, Wanted, compile, layers,
};
use support::{Memory, Random, VOCABULARY, WIDTH, close, open_gpus, other_devices, weights};

const LAYERS: usize = 3;

fn graph(weights: &Memory, describe: impl Fn(&Builder)) -> Graph {
    let (builder, recording) = Builder::native("placed", weights.catalog());
    describe(&builder);
    recording.finish().expect("a graph")
}

/// One layer of a decoder: attention with rotary positions, and in the last a bias by distance; then a gated product. Scores
/// are small, so that what devices round in another way stays small.
fn layer(graph: &Builder, index: usize, x: &Value) -> Value {
    let normed = graph.norm("norm", 1e-5).forward(x);
    let (query, key) = (graph.linear("q").forward(&normed), graph.linear_no_bias("k").forward(&normed));
    let value = graph.linear_no_bias("v").forward(&normed);
    let options = AttentionOptions { window: Some(40), scale: Some(0.02), ..AttentionOptions::causal(4, 2) };
    let attended = if index + 1 == LAYERS {
        query.attention_biased(&key, &value, &graph.tensor("buckets.weight"), 30, options)
    } else {
        let rotary = Rotary::plain(3, 2, 100.0);
        query.rotary(&rotary).attention(&key.rotary(&rotary), &value, options)
    };
    let x = graph.norm("norm", 1e-5).forward(&(x + &attended));
    let gated = graph.linear_no_bias("gated").forward(&x);
    &x + &(&gated.columns(0, WIDTH).activation(Activation::Silu) * &gated.columns(WIDTH, WIDTH))
}

/// A decoder whose embeddings are read again by the last layer and the head, with results of several kinds.
fn decoder(graph: &Builder) {
    let embedded = graph.tensor("words.weight").rows(&graph.token_ids());
    let mut x = embedded.scale(0.5);
    for index in 0..LAYERS {
        x = graph.layer(u32::try_from(index).expect("few"), |graph| {
            let x = layer(graph, index, &x);
            if index + 1 == LAYERS { &x + &embedded } else { x }
        });
    }
    graph.output("states", &x);
    graph.output("embedded", &embedded.scale(2.0));
    graph.output("logits", &(&x + &embedded).select_rows().linear(&graph.tensor("words.weight"), None));
    graph.output("table", &graph.tensor("distances.weight").scale(3.0));
}

/// An encoder of two layers and a decoder of two, which reads the encoder's normalised states.
fn translator(graph: &Builder) {
    let (words, bias) = (graph.tensor("words.weight"), graph.tensor("buckets.weight"));
    let own = |x: &Value, causal: bool| {
        let options = AttentionOptions { causal, scale: Some(0.02), ..AttentionOptions::bidirectional(4) };
        let query = graph.linear("q").forward(&graph.norm("norm", 1e-5).forward(x));
        &query.attention_biased(&query, &query, &bias, 20, options) + x
    };
    let mut source = words.rows(&graph.source_ids());
    for index in 0..2 {
        source = graph.layer(index, |_| own(&source, false));
    }
    let source = graph.norm("norm", 1e-5).forward(&source);
    let mut x = words.rows(&graph.token_ids());
    for index in 0..2 {
        x = graph.layer(index, |graph| {
            let x = own(&x, true);
            let (key, value) = (graph.linear_no_bias("k").forward(&source), graph.linear_no_bias("v").forward(&source));
            let options =
                CrossAttentionOptions { key_value_heads: 2, scale: Some(0.02), ..CrossAttentionOptions::new(4) };
            &graph.linear("q").forward(&x).cross_attention(&key, &value, options) + &x
        });
    }
    graph.output("states", &x);
}

fn plan(graph: &Graph, weights: &Memory, place: impl Into<Place>) -> Arc<dyn Plan> {
    compile(graph, weights, place, Precision::F32).expect("a plan")
}

fn shares(ranges: &[Range<usize>], devices: &[Device]) -> Place {
    let share = |(layers, device): (&Range<usize>, &Device)| Share { device: device.clone(), layers: layers.clone() };
    Place::Shares(ranges.iter().zip(devices.iter().cycle()).map(share).collect())
}

/// Every way to cut so many layers in contiguous ranges.
fn cuts(count: usize) -> Vec<Vec<Range<usize>>> {
    let cut = |mask: usize| {
        let ends = (1..count).filter(|at| mask >> (at - 1) & 1 == 1).chain([count]);
        let mut first = 0;
        ends.map(|end| std::mem::replace(&mut first, end)..end).collect()
    };
    (0..1 << (count - 1)).map(cut).collect()
}

fn same_bits(what: &str, found: &Outputs, expected: &Outputs, names: &[&str]) {
    for name in names {
        let [found, expected] = [found, expected].map(|outputs| outputs.get(name).expect("the output is there"));
        assert_eq!((found.rows, found.width), (expected.rows, expected.width), "{what}, {name}");
        let bits = |matrix: &Matrix| matrix.data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(bits(found) == bits(expected), "{what}, {name}");
    }
}

fn tokens(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

const ALL: [&str; 4] = ["states", "embedded", "logits", "table"];

#[test]
fn whole_texts_have_the_same_bits() {
    let weights = weights();
    let graph = graph(&weights, decoder);
    assert_eq!(layers(&graph), LAYERS);
    let batch = support::batch(&[3, 0, 1, 70, 2]);
    let expected = plan(&graph, &weights, Device::Cpu).run(&batch).expect("it runs");
    for ranges in cuts(LAYERS) {
        let cut = plan(&graph, &weights, shares(&ranges, &[Device::Cpu]));
        let found = cut.run(&batch).expect("it runs");
        same_bits(&format!("{ranges:?}"), &found, &expected, &ALL);
        let layers: Vec<Range<usize>> = cut.shares().into_iter().map(|share| share.layers).collect();
        assert_eq!(layers, ranges);
    }
}

#[test]
fn shortlists_are_the_same_and_rows_that_others_take_are_whole() {
    let weights = weights();
    // Rows are asked for before the last layer, which is given them and not what is wanted of them.
    let graph = graph(&weights, |graph| {
        let x = graph.tensor("words.weight").rows(&graph.token_ids());
        let x = graph.layer(0, |graph| layer(graph, 0, &x)).select_rows();
        let y = graph.layer(1, |graph| &graph.linear("q").forward(&x) + &x);
        graph.output("asked", &x);
        graph.output("logits", &y.linear(&graph.tensor("words.weight"), None));
    });
    assert_eq!(layers(&graph), 2);
    let mut batch = Batch::new();
    batch.push(&tokens(&mut Random(6), 20), &[]);
    let greatest = Greatest { count: 2, ties: false, log_sum_exp: true };
    (0..20).for_each(|token| batch.ask(token, if token % 4 > 0 { Wanted::Greatest(greatest) } else { Wanted::Row }));
    let rows = |place: Place, name| plan(&graph, &weights, place).run(&batch).expect("it runs").into_rows(name);
    let expected = rows(Device::Cpu.into(), "logits").expect("logits");
    assert!(expected.shortlists.iter().filter(|list| list.is_some()).count() == 15);
    let cut = || shares(&[0..1, 1..2], &[Device::Cpu]);
    assert_eq!(rows(cut(), "logits"), Some(expected));
    assert_eq!(rows(cut(), "asked").expect("rows").whole.rows, 20);
}

#[test]
fn pooled_rows_of_an_encoder_have_the_same_bits() {
    let weights = weights();
    let graph = graph(&weights, |graph| {
        let mut x = graph.tensor("words.weight").rows(&graph.token_ids());
        for index in 0..2 {
            x = graph.layer(index, |graph| {
                let near = x.convolution(&graph.tensor("near.weight"), Some(&graph.tensor("near.bias")), 1);
                &x.attention(&x, &x, AttentionOptions::bidirectional(4)) + &near
            });
        }
        graph.output("states", &graph.linear("wide").forward(&x.pool(Pooling::Mean)));
    });
    let batch = support::batch(&[3, 1, 70, 2]);
    let expected = plan(&graph, &weights, Device::Cpu).run(&batch).expect("it runs");
    let cut = plan(&graph, &weights, shares(&[0..1, 1..2], &[Device::Cpu]));
    same_bits("an encoder", &cut.run(&batch).expect("it runs"), &expected, &["states"]);
    assert!(matches!(cut.cache(10), Err(Error::NotCausal { .. })));
}

/// A plan with its cache, and texts that it keeps.
struct Keeper {
    plan: Arc<dyn Plan>,
    cache: Cache,
    texts: Vec<Cached>,
}

impl Keeper {
    fn new(plan: Arc<dyn Plan>, blocks: usize) -> Self {
        let cache = plan.cache(blocks).expect("a causal graph");
        Self { plan, cache, texts: Vec::new() }
    }

    fn go_on(&mut self, chosen: &[(usize, Vec<u32>)]) -> Outputs {
        let mut batch = Batch::new();
        for (text, ids) in chosen {
            self.cache.reserve(&mut self.texts[*text], ids.len()).expect("there is room");
            batch.push_after(&self.texts[*text], ids);
            if let Some(last) = batch.tokens().checked_sub(1) {
                batch.ask_row(u32::try_from(last).expect("few tokens"));
            }
        }
        let outputs = self.plan.run_after(&batch, &mut self.cache).expect("it runs");
        chosen.iter().for_each(|(text, ids)| self.texts[*text].advance(ids.len()));
        outputs
    }
}

/// Texts go on, fork, are cut back and dropped, the same in every plan; each run is compared with that of the first plan.
fn walk(graph: &Graph, weights: &Memory, places: Vec<Place>, steps: usize, compare: impl Fn(&Outputs, &Outputs)) {
    let mut keepers = vec![Keeper::new(plan(graph, weights, Device::Cpu), 60)];
    keepers.extend(places.into_iter().map(|place| Keeper::new(plan(graph, weights, place), 60)));
    let mut random = Random(9);
    for _ in 0..steps {
        let count = keepers[0].texts.len();
        let one = random.below(u32::try_from(count.max(1)).expect("few")) as usize;
        let [doing, tokens_kept] = [random.below(8), random.below(60)];
        if count == 0 || (doing == 0 && count < 6) {
            keepers.iter_mut().for_each(|keeper| keeper.texts.push(Cached::new()));
        } else if doing == 1 && count < 6 {
            keepers.iter_mut().for_each(|keeper| keeper.texts.push(keeper.texts[one].clone()));
        } else if doing == 2 {
            keepers.iter_mut().for_each(|keeper| keeper.texts[one].truncate(tokens_kept as usize));
        } else if doing == 3 && count > 3 {
            keepers.iter_mut().for_each(|keeper| drop(keeper.texts.remove(one)));
        }
        let chosen: Vec<(usize, Vec<u32>)> = (0..keepers[0].texts.len())
            .filter(|_| random.below(3) > 0)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|text| {
                let most = [1, 1, 5, 40][random.below(4) as usize];
                let room = 150 - keepers[0].texts[text].tokens().min(149);
                (text, tokens(&mut random, most.min(room)))
            })
            .collect();
        let expected = keepers[0].go_on(&chosen);
        for keeper in &mut keepers[1..] {
            compare(&keeper.go_on(&chosen), &expected);
        }
    }
    for mut keeper in keepers {
        assert!(keeper.cache.held() > 0);
        keeper.texts.clear();
        assert_eq!(keeper.cache.held(), 0);
    }
}

#[test]
fn kept_texts_that_fork_and_are_cut_back_have_the_same_bits() {
    let weights = weights();
    let graph = graph(&weights, decoder);
    let places = cuts(LAYERS).iter().map(|ranges| shares(ranges, &[Device::Cpu])).collect();
    walk(&graph, &weights, places, 200, |found, expected| same_bits("kept", found, expected, &ALL));
}

#[test]
fn a_gpu_and_the_processor_keep_nearly_the_same() {
    let weights = weights();
    let graph = graph(&weights, decoder);
    for device in other_devices() {
        let both = [Device::Cpu, device.clone()];
        let other = [device.clone(), Device::Cpu];
        let places = vec![shares(&[0..1, 1..2, 2..3], &both), shares(&[0..2, 2..3], &other)];
        walk(&graph, &weights, places, 40, |found, expected| {
            for name in ALL {
                let [found, expected] = [found, expected].map(|outputs| outputs.get(name).expect("an output"));
                close(name, 1e-4, found, expected);
            }
        });
    }
}

fn read(plan: &dyn Plan, cache: &mut Cache, sources: &[Vec<u32>]) -> Vec<Cached> {
    let mut batch = Batch::new();
    let mut read: Vec<Cached> = Vec::new();
    for ids in sources {
        let mut cached = Cached::new();
        cache.reserve(&mut cached, ids.len()).expect("there is room");
        batch.push_after(&cached, ids);
        read.push(cached);
    }
    plan.read_sources(&batch, cache).expect("it reads");
    read.iter_mut().zip(sources).for_each(|(cached, ids)| cached.advance(ids.len()));
    read
}

/// Two texts of each source, in two runs.
fn translate(plan: &dyn Plan, sources: &[Vec<u32>], texts: &[Vec<u32>]) -> Vec<Outputs> {
    let mut cache = plan.cache(60).expect("a causal graph");
    let sources = read(plan, &mut cache, sources);
    let mut pasts: Vec<Cached> = texts.iter().map(|_| Cached::new()).collect();
    let mut found = Vec::new();
    for first in [true, false] {
        let mut batch = Batch::new();
        for (index, (past, text)) in pasts.iter_mut().zip(texts).enumerate() {
            let ids = if first { &text[..text.len() / 2] } else { &text[text.len() / 2..] };
            cache.reserve(past, ids.len()).expect("there is room");
            batch.push_after_source(past, &sources[index / 2], ids);
            past.advance(ids.len());
        }
        found.push(plan.run_after(&batch, &mut cache).expect("it runs"));
    }
    found
}

#[test]
fn texts_with_sources_have_the_same_bits() {
    let (weights, mut random) = (weights(), Random(4));
    let graph = graph(&weights, translator);
    // The encoder's layers, then the decoder's.
    assert_eq!(layers(&graph), 4);
    let sources = [5, BLOCK + 3, 1].map(|count| tokens(&mut random, count));
    let texts = [4, 2, 9, 40, 3, 7].map(|count| tokens(&mut random, count));
    let expected = translate(&*plan(&graph, &weights, Device::Cpu), &sources, &texts);
    for ranges in cuts(4) {
        let found = translate(&*plan(&graph, &weights, shares(&ranges, &[Device::Cpu])), &sources, &texts);
        for (found, expected) in found.iter().zip(&expected) {
            same_bits(&format!("{ranges:?}"), found, expected, &["states"]);
        }
    }
    for device in other_devices() {
        let devices = [device.clone(), Device::Cpu];
        for ranges in [vec![0..1, 1..4], vec![0..3, 3..4], vec![0..2, 2..3, 3..4]] {
            let found = translate(&*plan(&graph, &weights, shares(&ranges, &devices)), &sources, &texts);
            for (found, expected) in found.iter().zip(&expected) {
                let [found, expected] = [found, expected].map(|outputs| outputs.get("states").expect("an output"));
                close(&format!("{ranges:?}"), 1e-4, found, expected);
            }
        }
    }
}

#[test]
fn what_a_plan_with_sources_refuses_is_refused_in_parts_too() {
    let weights = weights();
    let graph = graph(&weights, translator);
    let plan = plan(&graph, &weights, shares(&[0..1, 1..3, 3..4], &[Device::Cpu]));
    let mut cache = plan.cache(10).expect("a causal graph");
    let mut batch = Batch::new();
    batch.push(&[1, 2], &[]);
    assert!(matches!(plan.run(&batch), Err(Error::NeedsSources { with: 0, sequences: 1 })));
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::Pasts { with: 0, sequences: 1 })));
    let mut batch = Batch::new();
    let mut past = Cached::new();
    cache.reserve(&mut past, 2).expect("room");
    batch.push_after(&past, &[1, 2]);
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::NeedsSources { with: 0, sequences: 1 })));
    plan.read_sources(&batch, &mut cache).expect("it reads");
}

fn low_ranks(names: &[(&str, usize)], seed: u64) -> LowRanks {
    let mut random = Random(seed);
    let mut numbers = |count: usize| (0..count).map(|_| random.number() / 5.0).collect::<Vec<f32>>();
    let change = |(name, outputs): &(&str, usize)| {
        let (a, b) = (numbers(2 * WIDTH as usize), numbers(2 * outputs));
        (format!("{name}.weight"), LowRank { rank: 2, a, b, factors: Some(numbers(*outputs)), bias: None })
    };
    names.iter().map(change).collect()
}

#[test]
fn adapters_have_the_same_bits() {
    let weights = weights();
    let (h, gated) = (WIDTH as usize, 2 * WIDTH as usize + 8);
    let graph = graph(&weights, |graph| {
        let mut x = graph.tensor("words.weight").rows(&graph.token_ids());
        // The first layer alone has the product `wide`, and all have `q`.
        let wide = graph.layer(0, |graph| graph.linear("wide").forward(&x).columns(0, WIDTH));
        x = &x + &wide;
        for index in 0..LAYERS {
            x = graph.layer(u32::try_from(index).expect("few"), |graph| layer(graph, index, &x));
        }
        graph.output("states", &x);
        graph.output("asked", &graph.linear_no_bias("gated").forward(&x.select_rows()));
    });
    let adapters = [low_ranks(&[("q", h), ("wide", 37)], 1), low_ranks(&[("gated", gated), ("v", h / 2)], 2)];
    let run = |plan: &dyn Plan| {
        let adapters: Vec<PlanAdapter> =
            adapters.iter().map(|adapter| plan.adapter(adapter).expect("it fits")).collect();
        assert_ne!(adapters[0].number(), adapters[1].number());
        let (mut batch, mut random) = (Batch::new(), Random(8));
        for (length, adapter) in [(3, Some(0)), (40, None), (1, Some(1)), (5, Some(0)), (2, None)] {
            batch.push(&tokens(&mut random, length), &[]);
            batch.ask_row(u32::try_from(batch.tokens() - 1).expect("few tokens"));
            if let Some(adapter) = adapter {
                batch.adapt(&adapters[adapter]);
            }
        }
        (plan.run(&batch).expect("it runs"), batch)
    };
    let whole = plan(&graph, &weights, Device::Cpu);
    let (expected, _) = run(&*whole);
    let count = layers(&graph);
    for ranges in cuts(count) {
        let cut = plan(&graph, &weights, shares(&ranges, &[Device::Cpu]));
        let (found, batch) = run(&*cut);
        same_bits(&format!("{ranges:?}"), &found, &expected, &["states", "asked"]);
        assert!(matches!(whole.run(&batch), Err(Error::OtherAdapter { sequence: 0 })));
        let other = plan(&graph, &weights, shares(&ranges, &[Device::Cpu]));
        assert!(matches!(other.run(&batch), Err(Error::OtherAdapter { sequence: 0 })));
        let unknown = cut.adapter(&low_ranks(&[("q", h), ("words", 1)], 1));
        assert!(matches!(unknown, Err(Error::NoProduct { name }) if name == "words.weight"));
    }
    for device in other_devices() {
        let (found, _) = run(&*plan(&graph, &weights, shares(&[0..2, 2..count], &[device.clone(), Device::Cpu])));
        for name in ["states", "asked"] {
            let [found, expected] = [&found, &expected].map(|outputs| outputs.get(name).expect("an output"));
            close(name, 1e-4, found, expected);
        }
    }
}

#[test]
fn caches_are_of_their_plan() {
    let weights = weights();
    let graph = graph(&weights, decoder);
    let [two, three] =
        [&[0..1, 1..3][..], &[0..1, 1..2, 2..3]].map(|ranges| plan(&graph, &weights, shares(ranges, &[Device::Cpu])));
    let whole = plan(&graph, &weights, Device::Cpu);
    let run = |plan: &dyn Plan, cache: &mut Cache| {
        let (mut batch, mut text) = (Batch::new(), Cached::new());
        cache.reserve(&mut text, 1).expect("room");
        batch.push_after(&text, &[1]);
        plan.run_after(&batch, cache).map(drop)
    };
    for (plan, other) in [(&two, &three), (&three, &two), (&two, &whole), (&whole, &two)] {
        let mut cache = other.cache(10).expect("a causal graph");
        assert!(matches!(run(&**plan, &mut cache), Err(Error::OtherCache)));
    }
    let [in_parts, in_one] = [&two, &whole].map(|plan| plan.cache(10).expect("a causal graph").block_bytes());
    assert_eq!(in_parts, in_one);
}

#[test]
fn layers_that_are_not_the_models_are_refused() {
    let weights = weights();
    let (decoder, flat) = (
        graph(&weights, decoder),
        graph(&weights, |graph| {
            let x = graph.tensor("words.weight").rows(&graph.token_ids());
            graph.output("states", &graph.linear("q").forward(&x));
        }),
    );
    let refused = |graph: &Graph, place: Place| match compile(graph, &weights, place, Precision::F32) {
        Err(Error::Layers { from, to, has }) => (from, to, has),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it compiles"),
    };
    for (ranges, expected) in [
        (vec![0..1, 1..2], (0, 2, 3)),
        (vec![0..1, 1..4], (1, 4, 3)),
        (vec![0..1, 2..3], (2, 3, 3)),
        (vec![0..2, 1..3], (1, 3, 3)),
        (vec![0..3, 3..3], (3, 3, 3)),
        (vec![1..2, 2..3], (1, 2, 3)),
        (vec![], (0, 0, 3)),
    ] {
        assert_eq!(refused(&decoder, shares(&ranges, &[Device::Cpu])), expected, "{ranges:?}");
    }
    assert_eq!(refused(&flat, shares(&[0..1, 1..2], &[Device::Cpu])), (0, 1, 0));
    assert_eq!(refused(&flat, Place::InTurn(vec![Device::Cpu])), (0, 0, 0));
}

/// A decoder with more weights in some layers than in others, each of them alike to no other: 10, 10, 20, 20 and 40 KiB, with
/// 10 KiB before the first and 30 KiB, of which 10 are the same table again, behind the last.
fn uneven() -> (Memory, Graph) {
    let shapes = [("words", 80), ("a", 80), ("b", 80), ("c", 160), ("d", 160), ("e", 320), ("head", 160)];
    let names = shapes.map(|(name, rows)| (format!("{name}.weight"), [rows, 32]));
    let weights = Memory::new(&names.iter().map(|(name, shape)| (&name[..], &shape[..])).collect::<Vec<_>>());
    let graph = graph(&weights, |graph| {
        let words = graph.tensor("words.weight");
        let mut x = words.rows(&graph.token_ids());
        for (index, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
            x = graph.layer(index, |graph| graph.linear_no_bias(name).forward(&x).columns(0, 32));
        }
        graph.output("states", &(&x.linear(&words, None) + &graph.linear_no_bias("head").forward(&x).columns(0, 80)));
    });
    (weights, graph)
}

#[test]
fn layers_go_where_there_is_room() {
    let Some(gpu) = open_gpus().first() else { return };
    let (weights, graph) = uneven();
    let open = |memory: Option<u64>| {
        let mut adapter = gpu.adapter().clone();
        adapter.memory = memory.map(|kib| kib << 10);
        Device::Gpu(Gpu::open(&adapter).expect("it opens"))
    };
    let placed = |devices: Vec<Device>| {
        compile(&graph, &weights, Place::InTurn(devices), Precision::F32)
            .map(|plan| plan.shares().into_iter().map(|share| share.layers).collect::<Vec<_>>())
    };
    let many = 1 << 20;
    // On the first where it has room for all, with a quarter to spare.
    assert_eq!(placed(vec![open(Some(many)), Device::Cpu]).ok(), Some(vec![0..5, 5..5]));
    // Words, `a`, `b` and `c` are 50 KiB of the 60 that are three quarters.
    assert_eq!(placed(vec![open(Some(80)), Device::Cpu]).ok(), Some(vec![0..3, 3..5]));
    // What has no room for a layer has none.
    assert_eq!(placed(vec![open(Some(4)), open(Some(80)), Device::Cpu]).ok(), Some(vec![0..0, 0..3, 3..5]));
    // Two that are alike have about half each: 70 KiB, and 70 with the table for a second time.
    assert_eq!(placed(vec![open(Some(many)), open(Some(many))]).ok(), Some(vec![0..4, 4..5]));
    assert_eq!(placed(vec![open(Some(many)), open(Some(many)), Device::Cpu]).ok(), Some(vec![0..4, 4..5, 5..5]));
    assert_eq!(placed(vec![open(None), open(None)]).ok(), Some(vec![0..4, 4..5]));
    // In proportion to what they have.
    assert_eq!(placed(vec![open(Some(many)), open(Some(8 * many))]).ok(), Some(vec![0..0, 0..5]));

    let small = placed(vec![open(Some(40)), open(Some(40))]);
    assert!(matches!(small, Err(Error::NoRoom { needs, free: 81920 }) if needs == 130 << 10), "{small:?}");
    assert!(matches!(placed(vec![open(None), Device::Cpu]), Err(Error::UnknownMemory { .. })));
    // Said outright, nothing is kept free; but there must be room for the weights.
    let said = |memory| {
        let place = shares(&[0..4, 4..5], &[open(Some(memory)), Device::Cpu]);
        compile(&graph, &weights, place, Precision::F32).map(drop)
    };
    assert!(matches!(said(60), Err(Error::TooSmall { needs, free, .. }) if needs == 70 << 10 && free == 60 << 10));
}
