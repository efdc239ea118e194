//! Attention within the sequences of a batch, and the reference that it shares with what is kept.

use std::ops::Range;

use runtime_gpu::{Attention, Buffer, Columns, Gpu, Recorder, Relative};

use crate::sequences::{fresh, spans};
use crate::support::{Random, close, gpus, read, room};

/// What distances add, on the host.
pub(crate) enum Terms {
    None,
    /// `[heads, 2 * reach + 1]`
    Bias(Vec<f32>),
    /// Rows by distance, and two tables.
    Disentangled(Vec<u32>, Option<Vec<f32>>, Option<Vec<f32>>),
}

/// An attention, on the host.
pub(crate) struct Reference {
    pub(crate) heads: usize,
    pub(crate) key_value_heads: usize,
    pub(crate) head_size: usize,
    pub(crate) causal: bool,
    pub(crate) window: Option<usize>,
    pub(crate) soft_cap: Option<f32>,
    pub(crate) reach: usize,
    pub(crate) terms: Terms,
}

/// Some columns of a matrix, on the host.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) first: usize,
}

impl Matrix<'_> {
    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.x[row * self.stride + self.first + column])
    }
}

impl Reference {
    pub(crate) fn random(random: &mut Random, (heads, key_value_heads, head_size): (usize, usize, usize)) -> Self {
        let window = (random.below(3) == 0).then(|| 1 + random.below(20));
        let soft_cap = (random.below(3) == 0).then_some(2.0);
        Self {
            heads,
            key_value_heads,
            head_size,
            causal: random.below(2) == 0,
            window,
            soft_cap,
            reach: 0,
            terms: Terms::None,
        }
    }

    pub(crate) fn scale(&self) -> f32 {
        2.0 / (self.head_size as f32).sqrt()
    }

    /// Row `row` of `q`, which is token `token`, over `keys`, which are tokens from 0 on.
    pub(crate) fn row(
        &self,
        q: Matrix<'_>,
        row: usize,
        token: usize,
        k: Matrix<'_>,
        v: Matrix<'_>,
        keys: Range<usize>,
    ) -> Vec<f64> {
        let (size, scale) = (self.head_size, f64::from(self.scale()));
        let mut result = Vec::new();
        for head in 0..self.heads {
            let (mine, shared) = (head * size, head / (self.heads / self.key_value_heads) * size);
            let sees = |key: usize| {
                (!self.causal || key <= token) && self.window.is_none_or(|window| key.abs_diff(token) <= window)
            };
            let seen: Vec<usize> = (0..keys.len()).filter(|key| sees(*key)).collect();
            let scores: Vec<f64> = seen
                .iter()
                .map(|key| {
                    let at = keys.start + key;
                    let mut score = scale * (0..size).map(|i| q.at(row, mine + i) * k.at(at, shared + i)).sum::<f64>();
                    if let Some(cap) = self.soft_cap {
                        score = f64::from(cap) * (score / f64::from(cap)).tanh();
                    }
                    match &self.terms {
                        Terms::None => {}
                        Terms::Bias(table) => {
                            score += f64::from(table[head * (2 * self.reach + 1) + self.reach + key - token]);
                        }
                        Terms::Disentangled(buckets, keys, queries) => {
                            let bucket = buckets[self.reach + token - key] as usize;
                            let number =
                                |table: &[f32], i: usize| f64::from(table[bucket * self.heads * size + mine + i]);
                            if let Some(table) = keys {
                                score += scale * (0..size).map(|i| q.at(row, mine + i) * number(table, i)).sum::<f64>();
                            }
                            if let Some(table) = queries {
                                score +=
                                    scale * (0..size).map(|i| k.at(at, shared + i) * number(table, i)).sum::<f64>();
                            }
                        }
                    }
                    score
                })
                .collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            result.extend((0..size).map(|i| {
                let values = seen.iter().zip(&weights).map(|(key, weight)| weight * v.at(keys.start + key, shared + i));
                if seen.is_empty() { 0.0 } else { values.sum::<f64>() / sum }
            }));
        }
        result
    }

    /// The buffers that its terms need.
    pub(crate) fn upload(&self, recorder: &mut Recorder) -> Vec<Option<Buffer>> {
        let mut table = |numbers: &Vec<f32>| recorder.upload_f32(numbers).expect("there is memory");
        match &self.terms {
            Terms::None => vec![],
            Terms::Bias(bias) => vec![Some(table(bias))],
            Terms::Disentangled(buckets, keys, queries) => {
                let tables = [keys.as_ref().map(&mut table), queries.as_ref().map(&mut table)];
                let [keys, queries] = tables;
                vec![Some(recorder.upload_u32(buckets).expect("there is memory")), keys, queries]
            }
        }
    }

    /// The same for a GPU.
    pub(crate) fn there<'a>(&self, buffers: &'a [Option<Buffer>]) -> Attention<'a> {
        let reach = self.reach;
        let relative = match (&self.terms, buffers) {
            (Terms::Bias(_), [Some(table)]) => Some(Relative::Bias { table, reach }),
            (Terms::Disentangled(..), [Some(rows), keys, queries]) => {
                Some(Relative::Disentangled { rows, reach, keys: keys.as_ref(), queries: queries.as_ref() })
            }
            _ => None,
        };
        Attention {
            heads: self.heads,
            key_value_heads: self.key_value_heads,
            head_size: self.head_size,
            causal: self.causal,
            window: self.window,
            scale: self.scale(),
            soft_cap: self.soft_cap,
            relative,
        }
    }
}

/// Queries, keys and values as columns of one matrix, compared with the reference.
fn check(gpu: &Gpu, random: &mut Random, reference: &Reference, lengths: &[usize]) {
    let Reference { heads, key_value_heads, head_size, .. } = *reference;
    let rows: usize = lengths.iter().sum();
    let (query_width, key_width) = (heads * head_size, key_value_heads * head_size);
    let before = random.of(&[1, 4]);
    let stride = before + query_width + 2 * key_width;
    let x = random.numbers(rows * stride);
    let firsts = [before, before + query_width, before + query_width + key_width];
    let [q, k, v] = firsts.map(|first| Matrix { x: &x, stride, first });
    let mut expected = Vec::new();
    for span in spans(lengths) {
        for row in span.clone() {
            expected.extend(reference.row(q, row, row - span.start, k, v, span.clone()));
        }
    }
    let mut recorder = gpu.record();
    let sequences = recorder.sequences(&fresh(lengths)).expect("there is memory");
    let buffer = recorder.upload_f32(&x).expect("there is memory");
    let terms = reference.upload(&mut recorder);
    let operands = firsts.map(|first| Columns { buffer: &buffer, stride, first });
    let to = room(gpu, rows * query_width);
    recorder.attention(&sequences, operands, &reference.there(&terms), &to);
    let what = format!(
        "{lengths:?}, {heads} heads of {head_size}, {key_value_heads} of keys, causal {}, window {:?}, cap {:?}",
        reference.causal, reference.window, reference.soft_cap
    );
    close(&read(recorder, &to, rows * query_width), &expected, 3e-6, &what);
}

const HEADS: [(usize, usize, usize); 6] = [(1, 1, 1), (4, 2, 8), (3, 1, 20), (2, 2, 65), (6, 3, 64), (2, 1, 256)];

#[test]
fn sequences_of_any_length() {
    for gpu in gpus() {
        let mut random = Random::new(30);
        for heads in HEADS {
            let reference = Reference::random(&mut random, heads);
            for longest in [1, 17, 65, 100] {
                let lengths = random.lengths(longest);
                check(gpu, &mut random, &reference, &lengths);
            }
        }
        let reference = Reference::random(&mut random, (2, 2, 8));
        check(gpu, &mut random, &reference, &[]);
        check(gpu, &mut random, &reference, &[0, 0]);
    }
}

#[test]
fn biases_by_distance() {
    for gpu in gpus() {
        let mut random = Random::new(31);
        for heads in [(4, 2, 8), (3, 3, 17)] {
            let lengths = random.lengths(65);
            let mut reference = Reference::random(&mut random, heads);
            reference.reach = 64 + random.below(20);
            reference.terms = Terms::Bias(random.numbers(heads.0 * (2 * reference.reach + 1)));
            check(gpu, &mut random, &reference, &lengths);
        }
    }
}

#[test]
fn products_with_distances() {
    for gpu in gpus() {
        let mut random = Random::new(32);
        for (keys, queries) in [(true, true), (true, false), (false, true)] {
            let (lengths, rows) = (random.lengths(65), 9);
            let mut reference = Reference::random(&mut random, (4, 4, random_size(keys)));
            (reference.causal, reference.window) = (false, None);
            reference.reach = 70;
            let bucket = |distance: i32| u32::try_from((distance / 8 + 4).clamp(0, rows - 1)).expect("small");
            let buckets = (-70..=70).map(bucket).collect();
            let mut table = |there: bool| there.then(|| random.numbers(9 * 4 * reference.head_size));
            reference.terms = Terms::Disentangled(buckets, table(keys), table(queries));
            check(gpu, &mut random, &reference, &lengths);
        }
    }
}

/// Sizes with and without a rest.
fn random_size(even: bool) -> usize {
    if even { 16 } else { 7 }
}
