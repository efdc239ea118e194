//! Keys and values that are kept: a sequence gives the same bits however it is cut into runs and whatever runs beside it,
//! also after forks and truncation, and no block is lost.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::{AttentionOptions, Builder, Rotary, alibi_slopes};
use runtime_tensor::{BLOCK, Batch, Cache, Cached, Device, Error, Outputs, Plan, Precision, compile};
use support::{Memory, Random, VOCABULARY, weights};

/// Layers of attention as decoders have it: grouped heads, positions, in one of them a window and a bound, and in one a
/// bias by distance.
fn decoder(weights: &Memory) -> Arc<dyn Plan> {
    let (graph, recording) = Builder::native("decoder", weights.catalog());
    let rotary = Rotary::plain(3, 2, 100.0);
    let mut x = graph.tensor("words.weight").rows(&graph.token_ids());
    for (window, soft_cap) in [(None, None), (Some(40), Some(2.0))] {
        let query = graph.linear("q").forward(&x).rotary(&rotary);
        let key = graph.linear_no_bias("k").forward(&x).rotary(&rotary);
        let value = graph.linear_no_bias("v").forward(&x);
        let options = AttentionOptions { window, soft_cap, ..AttentionOptions::causal(4, 2) };
        x = &x + &query.attention(&key, &value, options);
    }
    let (key, value) = (graph.linear_no_bias("k").forward(&x), graph.linear_no_bias("v").forward(&x));
    let (query, bias) = (graph.linear("q").forward(&x), graph.tensor("buckets.weight"));
    let options = AttentionOptions { window: Some(50), ..AttentionOptions::causal(4, 2) };
    x = &x + &query.attention_biased(&key, &value, &bias, 30, options);
    let slopes = graph.constant(alibi_slopes(4, 8.0));
    x = &x + &query.attention_alibi(&key, &value, &slopes, AttentionOptions::causal(4, 2));
    graph.output("states", &x);
    let graph = recording.finish().expect("a graph");
    compile(&graph, weights, Device::Cpu, Precision::F32).expect("a plan")
}

fn tokens(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| random.below(VOCABULARY)).collect()
}

fn whole(plan: &dyn Plan, ids: &[u32]) -> Vec<u32> {
    let mut batch = Batch::new();
    batch.push(ids, &[]);
    bits(&plan.run(&batch).expect("it runs"))
}

fn bits(outputs: &Outputs) -> Vec<u32> {
    outputs.get("states").expect("states").data.iter().map(|x| x.to_bits()).collect()
}

/// Runs the next tokens of some sequences, and returns the bits of each.
fn step(plan: &dyn Plan, cache: &mut Cache, sequences: &mut [(&mut Cached, &[u32])]) -> Vec<Vec<u32>> {
    let mut batch = Batch::new();
    for (cached, ids) in sequences.iter_mut() {
        cache.reserve(cached, ids.len()).expect("there is room");
        batch.push_after(cached, ids);
    }
    let mut rest = bits(&plan.run_after(&batch, cache).expect("it runs"));
    let width = rest.len() / batch.tokens().max(1);
    let cut = |(cached, ids): &mut (&mut Cached, &[u32])| {
        cached.advance(ids.len());
        let later = rest.split_off(ids.len() * width);
        std::mem::replace(&mut rest, later)
    };
    sequences.iter_mut().map(cut).collect()
}

#[test]
fn a_sequence_is_the_same_however_it_is_cut_into_runs() {
    let (weights, mut random) = (weights(), Random(3));
    let plan = decoder(&weights);
    for _ in 0..20 {
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
            assert_eq!(found, whole(&*plan, text), "{} tokens", text.len());
        }
        drop(kept);
        assert_eq!(cache.held(), 0);
    }
}

#[test]
fn forks_go_their_own_ways_and_share_what_they_have_in_common() {
    let (weights, mut random) = (weights(), Random(5));
    let plan = decoder(&weights);
    let mut cache = plan.cache(100).expect("a causal graph");
    let prompt = tokens(&mut random, 2 * BLOCK + 5);
    let mut first = Cached::new();
    step(&*plan, &mut cache, &mut [(&mut first, &prompt)]);
    let mut second = first.clone();
    assert_eq!(cache.held(), 3);
    let (a, b) = (tokens(&mut random, BLOCK), tokens(&mut random, BLOCK));
    let found = step(&*plan, &mut cache, &mut [(&mut first, &a), (&mut second, &b)]);
    assert_eq!(cache.held(), 6, "two blocks are shared, two more are each one's own");
    for (ids, found) in [a, b].iter().zip(found) {
        let all = whole(&*plan, &[&prompt[..], ids].concat());
        assert_eq!(found, all[all.len() - found.len()..]);
    }
    second.truncate(BLOCK + 3);
    let again = tokens(&mut random, 9);
    let found = step(&*plan, &mut cache, &mut [(&mut second, &again)]).remove(0);
    let all = whole(&*plan, &[&prompt[..BLOCK + 3], &again].concat());
    assert_eq!(found, all[all.len() - found.len()..]);
    drop((first, second));
    assert_eq!(cache.held(), 0);
}

#[test]
fn what_has_no_room_or_cannot_be_kept_is_refused() {
    let weights = weights();
    let plan = decoder(&weights);
    let mut cache = plan.cache(2).expect("a causal graph");
    let mut cached = Cached::new();
    cache.reserve(&mut cached, 2 * BLOCK).expect("two blocks");
    let full = cache.reserve(&mut cached, 2 * BLOCK + 1).expect_err("two blocks are all");
    assert_eq!(full.to_string(), format!("there is room for 2 blocks of {BLOCK} tokens, and all are in use"));

    let mut batch = Batch::new();
    batch.push_after(&cached, &[1, 2]);
    batch.push(&[1], &[]);
    assert!(matches!(plan.run_after(&batch, &mut cache), Err(Error::Pasts { with: 1, sequences: 2 })));
    assert!(matches!(plan.run(&batch), Err(Error::Pasts { .. })));

    let (graph, recording) = Builder::native("encoder", weights.catalog());
    let x = graph.tensor("words.weight").rows(&graph.token_ids());
    let x = x.attention(&x, &x, AttentionOptions::bidirectional(4));
    graph.output("states", &x);
    let encoder = recording.finish().expect("a graph");
    let encoder = compile(&encoder, &weights, Device::Cpu, Precision::F32).expect("a plan");
    assert!(matches!(encoder.cache(1), Err(Error::NotCausal { operator: "attention", .. })));
}

/// As `fuzz_graph` compares: behind a past, tokens that are not counted were.
#[test]
fn positions_that_leave_tokens_out_keep_a_plan_from_a_cache() {
    let weights = weights();
    let (graph, recording) = Builder::native("positions", weights.catalog());
    let x = graph.tensor("words.weight").rows(&graph.token_ids());
    graph.output("states", &(&x + &graph.tensor("words.weight").rows(&graph.positions_without(1))));
    let graph = recording.finish().expect("a graph");
    let plan = compile(&graph, &weights, Device::Cpu, Precision::F32).expect("a plan");
    assert_eq!(whole(&*plan, &[3, 1, 5]).len(), 3 * 12);
    let error = plan.cache(1).expect_err("the count is not kept");
    let said =
        "the keys and values of this model cannot be kept, since `positions` do not count some of the tokens before";
    assert_eq!(error.to_string(), said);
}
