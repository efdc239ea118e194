//! Attention over keys and values that earlier runs have kept.

use half::f16;
use runtime_gpu::{BLOCK, CacheType, Columns, Gpu, Kept, Sequence};

use crate::attention::{Matrix, Reference, Terms};
use crate::support::{Random, close, gpus, read, room};

/// A sequence of the test: tokens that earlier runs kept, and those of the last run.
struct Text {
    past: usize,
    new: usize,
    blocks: Vec<u32>,
    /// Of all its tokens, `[past + new, width]`.
    keys: Vec<f32>,
    values: Vec<f32>,
}

fn texts(random: &mut Random, lengths: &[(usize, usize)], width: usize) -> (Vec<Text>, usize) {
    let counts: Vec<usize> = lengths.iter().map(|(past, new)| (past + new).div_ceil(BLOCK)).collect();
    let all = counts.iter().sum::<usize>() + 3;
    let mut free: Vec<u32> = (0..u32::try_from(all).expect("small")).collect();
    let texts = lengths.iter().zip(counts).map(|((past, new), count)| {
        let blocks = (0..count).map(|_| free.swap_remove(random.below(free.len()))).collect();
        let [keys, values] = [0, 1].map(|_| random.numbers((past + new) * width));
        Text { past: *past, new: *new, blocks, keys, values }
    });
    (texts.collect(), all)
}

/// Keeps tokens `from(text)..to(text)` of each text.
fn keep(gpu: &Gpu, kept: &Kept, texts: &[Text], width: usize, range: impl Fn(&Text) -> std::ops::Range<usize>) {
    let part = |numbers: fn(&Text) -> &Vec<f32>| {
        let of_text = |text: &Text| numbers(text)[range(text).start * width..range(text).end * width].to_vec();
        texts.iter().flat_map(of_text).collect::<Vec<f32>>()
    };
    let mut recorder = gpu.record();
    let sequences: Vec<Sequence<'_>> = texts
        .iter()
        .map(|text| Sequence { tokens: range(text).len(), past: range(text).start, blocks: &text.blocks })
        .collect();
    let sequences = recorder.sequences(&sequences).expect("there is memory");
    let keys = recorder.upload_f32(&part(|text| &text.keys)).expect("there is memory");
    let values = recorder.upload_f32(&part(|text| &text.values)).expect("there is memory");
    recorder.keep(&sequences, kept, [keys.columns(width), values.columns(width)]);
    recorder.finish(&[]).expect("the recording is right");
}

fn check(gpu: &Gpu, random: &mut Random, reference: &Reference, lengths: &[(usize, usize)], cache_type: CacheType) {
    let Reference { heads, key_value_heads, head_size, causal, .. } = *reference;
    let (query_width, key_width) = (heads * head_size, key_value_heads * head_size);
    let (mut texts, all) = texts(random, lengths, key_width);
    let kept = Kept::new(gpu, all, (key_value_heads, head_size), cache_type).expect("there is memory");
    // In two runs, cut anywhere.
    let cuts: Vec<usize> = texts.iter().map(|text| random.below(text.past + 1)).collect();
    let cut = |text: &Text| cuts[texts.iter().position(|other| std::ptr::eq(other, text)).expect("it is one of them")];
    keep(gpu, &kept, &texts, key_width, |text| 0..cut(text));
    keep(gpu, &kept, &texts, key_width, |text| cut(text)..text.past);
    if causal {
        keep(gpu, &kept, &texts, key_width, |text| text.past..text.past + text.new);
    }
    if cache_type == CacheType::F16 {
        // What is attended to is what was kept.
        for numbers in texts.iter_mut().flat_map(|text| [&mut text.keys, &mut text.values]) {
            *numbers = halves(std::mem::take(numbers));
        }
    }

    let rows: usize = texts.iter().map(|text| text.new).sum();
    let (before, stride) = (4, 4 + query_width);
    let x = random.numbers(rows * stride);
    let q = Matrix { x: &x, stride, first: before };
    let mut expected = Vec::new();
    let mut row = 0;
    for text in &texts {
        let matrix = |x| Matrix { x, stride: key_width, first: 0 };
        for new in 0..text.new {
            let keys = 0..if causal { text.past + text.new } else { text.past };
            expected.extend(reference.row(q, row, text.past + new, matrix(&text.keys), matrix(&text.values), keys));
            row += 1;
        }
    }
    let mut recorder = gpu.record();
    let sequences: Vec<Sequence<'_>> =
        texts.iter().map(|text| Sequence { tokens: text.new, past: text.past, blocks: &text.blocks }).collect();
    let sequences = recorder.sequences(&sequences).expect("there is memory");
    let buffer = recorder.upload_f32(&x).expect("there is memory");
    let terms = reference.upload(&mut recorder);
    let to = room(gpu, rows * query_width);
    let q = Columns { buffer: &buffer, stride, first: before };
    recorder.attention_over_kept(&sequences, &kept, q, &reference.there(&terms), &to);
    let what = format!(
        "{lengths:?}, {heads} heads of {head_size}, {key_value_heads} of keys, causal {causal}, window {:?}, cap {:?}, {cache_type:?}",
        reference.window, reference.soft_cap
    );
    close(&read(recorder, &to, rows * query_width), &expected, 3e-6, &what);
}

/// The nearest numbers of half precision.
fn halves(numbers: Vec<f32>) -> Vec<f32> {
    numbers.into_iter().map(|number| f16::from_f32(number).to_f32()).collect()
}

const LENGTHS: [&[(usize, usize)]; 5] = [
    &[(0, 1)],
    &[(31, 1), (0, 5), (32, 1), (64, 2), (100, 1)],
    &[(0, 40), (3, 0), (17, 17), (65, 1)],
    &[(1300, 1), (5, 3)],
    &[(600, 20), (511, 1), (256, 1)],
];

#[test]
fn texts_go_on_where_they_ended() {
    for gpu in gpus() {
        let mut random = Random::new(40);
        for (at, heads) in
            [(4, 2, 8), (3, 1, 20), (2, 2, 65), (9, 3, 64), (16, 1, 4), (2, 1, 256)].into_iter().enumerate()
        {
            let reference = Reference { causal: true, ..Reference::random(&mut random, heads) };
            for lengths in [LENGTHS[at % 5], LENGTHS[(at + 1) % 5]] {
                for cache_type in [CacheType::F32, CacheType::F16] {
                    check(gpu, &mut random, &reference, lengths, cache_type);
                }
            }
        }
    }
}

#[test]
fn biases_by_distance_to_what_is_kept() {
    for gpu in gpus() {
        let mut random = Random::new(41);
        for lengths in &LENGTHS[1..4] {
            let mut reference = Reference { causal: true, window: None, ..Reference::random(&mut random, (4, 2, 8)) };
            reference.reach = 1400;
            reference.terms = Terms::Bias(random.numbers(4 * 2801));
            for cache_type in [CacheType::F32, CacheType::F16] {
                check(gpu, &mut random, &reference, lengths, cache_type);
            }
        }
    }
}

#[test]
fn sources_are_seen_as_a_whole() {
    for gpu in gpus() {
        let mut random = Random::new(42);
        for lengths in LENGTHS {
            let reference = Reference { causal: false, window: None, ..Reference::random(&mut random, (4, 4, 12)) };
            for cache_type in [CacheType::F32, CacheType::F16] {
                check(gpu, &mut random, &reference, lengths, cache_type);
            }
        }
    }
}

#[test]
fn a_fork_has_its_own_blocks() {
    for (gpu, cache_type) in gpus().iter().flat_map(|gpu| [(gpu, CacheType::F32), (gpu, CacheType::F16)]) {
        let mut random = Random::new(43);
        let (heads, size) = (2, 5);
        let (width, tokens) = (heads * size, BLOCK + 3);
        let [keys, values] = [0, 1].map(|_| halves(random.numbers(tokens * width)));
        let kept = Kept::new(gpu, 6, (heads, size), cache_type).expect("there is memory");
        let mut text = Text { past: tokens, new: 0, blocks: vec![4, 1], keys, values };
        keep(gpu, &kept, std::slice::from_ref(&text), width, |text| 0..text.past);
        let mut recorder = gpu.record();
        recorder.copy_blocks(&kept, &[(4, 0), (1, 5)]).expect("there is memory");
        recorder.finish(&[]).expect("the recording is right");
        // The original is overwritten; the copy is as before.
        let own = Text {
            keys: halves(random.numbers(tokens * width)),
            values: halves(random.numbers(tokens * width)),
            blocks: vec![4, 1],
            past: tokens,
            new: 0,
        };
        keep(gpu, &kept, std::slice::from_ref(&own), width, |text| 0..text.past);
        text.blocks = vec![0, 5];
        let reference =
            Reference { causal: false, window: None, ..Reference::random(&mut random, (heads, heads, size)) };
        let x = random.numbers(width);
        for text in [&text, &own] {
            let matrix = |x| Matrix { x, stride: width, first: 0 };
            let expected = reference.row(matrix(&x), 0, 0, matrix(&text.keys), matrix(&text.values), 0..tokens);
            let mut recorder = gpu.record();
            let sequence = Sequence { tokens: 1, past: tokens, blocks: &text.blocks };
            let sequences = recorder.sequences(&[sequence]).expect("there is memory");
            let (q, to) = (recorder.upload_f32(&x).expect("there is memory"), room(gpu, width));
            recorder.attention_over_kept(&sequences, &kept, q.columns(width), &reference.there(&[]), &to);
            close(&read(recorder, &to, width), &expected, 3e-6, "a fork");
        }
    }
}

#[test]
fn numbers_beyond_half_precision_are_kept_as_its_greatest() {
    for gpu in gpus() {
        let kept = Kept::new(gpu, 1, (1, 4), CacheType::F16).expect("there is memory");
        let values = vec![1e9, -1e9, 65504.0, 3.0];
        let text = Text { past: 1, new: 0, blocks: vec![0], keys: vec![0.0; 4], values };
        keep(gpu, &kept, std::slice::from_ref(&text), 4, |text| 0..text.past);
        let mut recorder = gpu.record();
        let sequence = Sequence { tokens: 1, past: 1, blocks: &text.blocks };
        let sequences = recorder.sequences(&[sequence]).expect("there is memory");
        let (q, to) = (recorder.upload_f32(&[1.0; 4]).expect("there is memory"), room(gpu, 4));
        let mut random = Random::new(44);
        let reference = Reference { causal: false, window: None, ..Reference::random(&mut random, (1, 1, 4)) };
        recorder.attention_over_kept(&sequences, &kept, q.columns(4), &reference.there(&[]), &to);
        // A single token has all of the weight.
        close(&read(recorder, &to, 4), &[65504.0, -65504.0, 65504.0, 3.0], 1e-6, "beyond");
    }
}
