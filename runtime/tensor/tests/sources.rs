//! Texts that have sources: what tokens find in them, in double precision; the same bits whatever runs beside a text and
//! however it is cut; and what is refused.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::{AttentionOptions, Builder, CrossAttentionOptions, Value};
use runtime_tensor::{BLOCK, Batch, Cache, Cached, Device, Error, Matrix, Plan, Precision, compile};
use support::{Memory, Random, VOCABULARY, WIDTH, Wide, agree, product, weights};

const FREQUENCIES: [f64; 6] = [1.0, 0.7, 0.3, 0.1, 0.03, 0.01];

/// Attention to the source alone, of words and positions.
fn reader(graph: &Builder) -> Value {
    let (words, positions) = (graph.tensor("words.weight"), graph.sinusoids(100, FREQUENCIES.to_vec()));
    let source = &words.rows(&graph.source_ids()) + &positions.rows(&graph.source_positions(2));
    let text = &words.rows(&graph.token_ids()) + &positions.rows(&graph.positions(2));
    let (key, value) = (graph.linear_no_bias("k").forward(&source), graph.linear_no_bias("v").forward(&source));
    let options = CrossAttentionOptions { key_value_heads: 2, ..CrossAttentionOptions::new(4) };
    graph.linear("q").forward(&text).cross_attention(&key, &value, options)
}

/// An encoder and a decoder of two layers, with distances, whose blocks for texts are longer than those for sources.
fn translator(graph: &Builder) -> Value {
    let (words, bias) = (graph.tensor("words.weight"), graph.tensor("buckets.weight"));
    let own = |x: &Value, causal: bool| {
        let options = AttentionOptions { causal, ..AttentionOptions::bidirectional(4) };
        let query = graph.linear("q").forward(x);
        &query.attention_biased(&query, &query, &bias, 20, options) + x
    };
    let source = own(&own(&words.rows(&graph.source_ids()), false), false);
    let mut x = words.rows(&graph.token_ids());
    for scale in [None, Some(0.3)] {
        x = own(&x, true);
        let (key, value) = (graph.linear_no_bias("k").forward(&source), graph.linear_no_bias("v").forward(&source));
        let options = CrossAttentionOptions { key_value_heads: 2, scale, ..CrossAttentionOptions::new(4) };
        x = &graph.linear("q").forward(&x).cross_attention(&key, &value, options) + &x;
    }
    x
}

fn plan(weights: &Memory, describe: impl Fn(&Builder) -> Value) -> Arc<dyn Plan> {
    let (graph, recording) = Builder::native("test", weights.catalog());
    graph.output("y", &describe(&graph));
    let graph = recording.finish().expect("a graph");
    compile(&graph, weights, Device::Cpu, Precision::F32).expect("a plan")
}

fn tokens(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

/// Reads sources in one run.
fn read(plan: &dyn Plan, cache: &mut Cache, sources: &[Vec<u32>]) -> Vec<Cached> {
    let mut batch = Batch::new();
    let reserve = |ids: &Vec<u32>| {
        let mut cached = Cached::new();
        cache.reserve(&mut cached, ids.len()).expect("there is room");
        batch.push_after(&cached, ids);
        cached
    };
    let mut read: Vec<Cached> = sources.iter().map(reserve).collect();
    plan.read_sources(&batch, cache).expect("it reads");
    read.iter_mut().zip(sources).for_each(|(cached, ids)| cached.advance(ids.len()));
    read
}

/// Runs the next tokens of texts, each with its source.
fn step(plan: &dyn Plan, cache: &mut Cache, texts: &mut [(&mut Cached, &Cached, &[u32])]) -> Vec<Matrix> {
    let mut batch = Batch::new();
    for (past, source, ids) in texts.iter_mut() {
        cache.reserve(past, ids.len()).expect("there is room");
        batch.push_after_source(past, source, ids);
        past.advance(ids.len());
    }
    let all = plan.run_after(&batch, cache).expect("it runs").get("y").expect("its output").clone();
    let width = all.width;
    let cut = |span: std::ops::Range<usize>| Matrix {
        rows: span.len(),
        width,
        data: all.data[span.start * width..span.end * width].to_vec(),
    };
    batch.spans().map(cut).collect()
}

fn alone(plan: &dyn Plan, source: &[u32], text: &[u32]) -> Vec<u32> {
    let mut cache = plan.cache(100).expect("a causal graph");
    let source = read(plan, &mut cache, &[source.to_vec()]).remove(0);
    bits(&step(plan, &mut cache, &mut [(&mut Cached::new(), &source, text)])[0])
}

fn bits(matrix: &Matrix) -> Vec<u32> {
    matrix.data.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn tokens_attend_to_all_of_their_source() {
    let (weights, mut random) = (weights(), Random(3));
    let plan = plan(&weights, reader);
    let mut cache = plan.cache(100).expect("a causal graph");
    let sources = [1, BLOCK, 71, BLOCK + 1].map(|count| tokens(&mut random, count));
    let read = read(&*plan, &mut cache, &sources);
    // Neighbours with the same source, and others with one that came before.
    let texts = [(0, 3), (2, 1), (2, 0), (2, 40), (1, 1), (2, 2), (3, 1)];
    let texts = texts.map(|(source, count)| (source, tokens(&mut random, count)));
    let mut pasts: Vec<Cached> = texts.iter().map(|_| Cached::new()).collect();
    let mut all: Vec<(&mut Cached, &Cached, &[u32])> =
        pasts.iter_mut().zip(&texts).map(|(past, (source, ids))| (past, &read[*source], &ids[..])).collect();
    let found = step(&*plan, &mut cache, &mut all);

    let embed = |ids: &[u32]| -> Wide {
        let (words, width) = (weights.wide("words.weight"), WIDTH as usize);
        let row = |(position, id): (u32, &u32)| {
            let waves = FREQUENCIES.iter().map(|frequency| (f64::from(position) * frequency).sin());
            let waves = waves.chain(FREQUENCIES.iter().map(|frequency| (f64::from(position) * frequency).cos()));
            words[*id as usize * width..][..width].iter().zip(waves).map(|(word, wave)| word + wave).collect()
        };
        (2..).zip(ids).map(row).collect()
    };
    for ((source, ids), found) in texts.iter().zip(&found) {
        let source = embed(&sources[*source]);
        let q = product(&embed(ids), &weights.wide("q.weight"), Some(&weights.wide("q.bias")));
        let [k, v] = ["k.weight", "v.weight"].map(|name| product(&source, &weights.wide(name), None));
        let row = |q: &Vec<f64>| {
            let of_head = |head: usize| {
                let shared = head / 2;
                let dot = |k: &Vec<f64>| (0..3).map(|i| q[head * 3 + i] * k[shared * 3 + i]).sum::<f64>();
                let shares: Vec<f64> = k.iter().map(|k| (dot(k) / 3f64.sqrt()).exp()).collect();
                let total: f64 = shares.iter().sum();
                (0..3)
                    .map(|i| v.iter().zip(&shares).map(|(v, share)| v[shared * 3 + i] * share).sum::<f64>() / total)
                    .collect::<Vec<f64>>()
            };
            (0..4).flat_map(of_head).collect()
        };
        agree("cross-attention", found, &q.iter().map(row).collect());
    }
}

#[test]
fn a_text_is_the_same_however_it_is_cut_and_whatever_runs_beside_it() {
    let (weights, mut random) = (weights(), Random(5));
    let plan = plan(&weights, translator);
    for _ in 0..20 {
        let mut cache = plan.cache(100).expect("a causal graph");
        let sources = [1, 32, 90].map(|count| tokens(&mut random, count));
        let read = read(&*plan, &mut cache, &sources);
        let texts = [0, 1, 1, 1, 2, 0].map(|source: usize| {
            let count = 1 + random.below(80) as usize;
            (source, tokens(&mut random, count))
        });
        let mut pasts: Vec<Cached> = texts.iter().map(|_| Cached::new()).collect();
        let mut found: Vec<Vec<u32>> = texts.iter().map(|_| Vec::new()).collect();
        while pasts.iter().zip(&texts).any(|(past, (_, text))| past.tokens() < text.len()) {
            let mut chosen = Vec::new();
            let mut parts: Vec<(&mut Cached, &Cached, &[u32])> = Vec::new();
            for (index, (past, (source, text))) in pasts.iter_mut().zip(&texts).enumerate() {
                let (done, most) = (past.tokens(), [1, 1, 5, 70][random.below(4) as usize]);
                if done < text.len() && random.below(3) > 0 {
                    chosen.push(index);
                    parts.push((past, &read[*source], &text[done..text.len().min(done + most)]));
                }
            }
            for (index, part) in chosen.into_iter().zip(step(&*plan, &mut cache, &mut parts)) {
                found[index].extend(bits(&part));
            }
        }
        for ((source, text), found) in texts.iter().zip(found) {
            assert_eq!(found, alone(&*plan, &sources[*source], text), "{} tokens", text.len());
        }
        drop((pasts, read));
        assert_eq!(cache.held(), 0);
    }
}

#[test]
fn what_lacks_its_source_is_refused() {
    let weights = weights();
    let plan = plan(&weights, reader);
    let mut cache = plan.cache(10).expect("a causal graph");
    let mut batch = Batch::new();
    batch.push(&[1, 2], &[]);
    assert!(matches!(plan.run(&batch), Err(Error::NeedsSources { with: 0, sequences: 1 })));
    assert!(matches!(plan.read_sources(&batch, &mut cache), Err(Error::Pasts { with: 0, sequences: 1 })));

    let mut cached = Cached::new();
    cache.reserve(&mut cached, 3).expect("there is room");
    let mut batch = Batch::new();
    batch.push_after(&cached, &[1]);
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::NeedsSources { with: 0, sequences: 1 })));
    let mut batch = Batch::new();
    batch.push_after_source(&cached, &Cached::new(), &[1]);
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::NeedsSources { with: 0, sequences: 1 })));
    cached.advance(1);
    let mut batch = Batch::new();
    batch.push_after(&cached, &[1]);
    let again = plan.read_sources(&batch, &mut cache);
    assert!(matches!(again, Err(Error::SourceInParts { sequence: 0, tokens: 1 })));
    let mut cached = Cached::new();
    cache.reserve(&mut cached, 1).expect("there is room");
    let mut batch = Batch::new();
    batch.push_after(&cached, &[VOCABULARY]);
    assert!(matches!(plan.read_sources(&batch, &mut cache), Err(Error::Index { operator: "rows", .. })));

    let plan = self::plan(&weights, |graph| graph.tensor("words.weight").rows(&graph.token_ids()));
    let mut cache = plan.cache(10).expect("a causal graph");
    let mut batch = Batch::new();
    batch.push_after(&Cached::new(), &[]);
    assert!(matches!(plan.read_sources(&batch, &mut cache), Err(Error::NoSources)));
    let mut batch = Batch::new();
    batch.push_after_source(&Cached::new(), &Cached::new(), &[]);
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::NoSources)));
}
