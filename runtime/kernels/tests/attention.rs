//! Attention against a plain computation in double precision, for each instruction set that this processor has.

mod support;

use std::ops::Range;

use runtime_kernels::{Attention, AttentionScratch, Columns, Isa, Relative, Team};
use support::{bits, numbers};

/// Sizes and options of a case.
#[derive(Clone, Copy, Debug)]
struct Case {
    heads: usize,
    key_value_heads: usize,
    size: usize,
    causal: bool,
    window: Option<usize>,
    soft_cap: Option<f32>,
    terms: Terms,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Terms {
    None,
    Bias,
    Disentangled { keys: bool, queries: bool },
}

const CASES: [Case; 10] = {
    let plain = Case {
        heads: 4,
        key_value_heads: 4,
        size: 32,
        causal: false,
        window: None,
        soft_cap: None,
        terms: Terms::None,
    };
    let both = Terms::Disentangled { keys: true, queries: true };
    [
        plain,
        Case { size: 5, key_value_heads: 2, ..plain },
        Case { causal: true, key_value_heads: 1, size: 24, ..plain },
        Case { window: Some(3), ..plain },
        Case { window: Some(40), causal: true, size: 64, ..plain },
        Case { terms: Terms::Bias, ..plain },
        Case { causal: true, soft_cap: Some(0.25), ..plain },
        Case { terms: both, size: 20, ..plain },
        Case { terms: Terms::Disentangled { keys: true, queries: false }, window: Some(9), ..plain },
        Case { terms: Terms::Disentangled { keys: false, queries: true }, size: 3, ..plain },
    ]
};

const LENGTHS: [usize; 9] = [5, 1, 0, 70, 2, 33, 129, 300, 24];
const REACH: usize = 300;
const BUCKETS: usize = 16;
const SCALE: f32 = 0.3;

/// Operands of a case: queries, keys and values side by side, and the tables.
struct Operands {
    offsets: Vec<usize>,
    packed: Vec<f32>,
    bias: Vec<f32>,
    tables: [Vec<f32>; 2],
    rows: Vec<u32>,
}

impl Case {
    fn operands(&self) -> Operands {
        let offsets: Vec<usize> = std::iter::once(0)
            .chain(LENGTHS.iter().scan(0, |sum, length| {
                *sum += length;
                Some(*sum)
            }))
            .collect();
        let tokens = offsets[LENGTHS.len()];
        let width = self.heads * self.size;
        // A row for each distance near by, and one for all others on each side.
        let row = |distance: usize| {
            let distance = i32::try_from(distance).expect("small") - i32::try_from(REACH).expect("small");
            u32::try_from((distance + 8).clamp(0, 15)).expect("not negative")
        };
        Operands {
            packed: numbers(1, tokens * self.stride()),
            offsets,
            bias: numbers(2, self.heads * (2 * REACH + 1)),
            tables: [numbers(3, BUCKETS * width), numbers(4, BUCKETS * width)],
            rows: (0..=2 * REACH).map(row).collect(),
        }
    }

    fn stride(&self) -> usize {
        (self.heads + 2 * self.key_value_heads) * self.size
    }

    fn run(&self, isa: Isa, threads: usize, operands: &Operands, offsets: &[usize], packed: &[f32]) -> Vec<f32> {
        let relative = match self.terms {
            Terms::None => None,
            Terms::Bias => Some(Relative::Bias { table: &operands.bias, reach: REACH }),
            Terms::Disentangled { keys, queries } => Some(Relative::Disentangled {
                rows: &operands.rows,
                reach: REACH,
                keys: keys.then_some(&operands.tables[0]),
                queries: queries.then_some(&operands.tables[1]),
            }),
        };
        let attention = Attention {
            offsets,
            heads: self.heads,
            key_value_heads: self.key_value_heads,
            head_size: self.size,
            causal: self.causal,
            window: self.window,
            scale: SCALE,
            soft_cap: self.soft_cap,
            relative,
        };
        let firsts = [0, self.heads * self.size, (self.heads + self.key_value_heads) * self.size];
        let parts = firsts.map(|first| Columns { x: packed, stride: self.stride(), first });
        let mut to = vec![f32::NAN; offsets.last().expect("at least one") * self.heads * self.size];
        let mut scratch = AttentionScratch::default();
        Team::of(threads, |team| {
            attention.run_on(isa, team, parts, &mut scratch, &mut to);
            // Again in the same memory, which must not matter.
            attention.run_on(isa, team, parts, &mut scratch, &mut to);
        });
        to
    }

    fn sees(&self, query: usize, key: usize) -> bool {
        !(self.causal && key > query) && self.window.is_none_or(|window| query.abs_diff(key) <= window)
    }

    /// The results of one token's head.
    fn expected(&self, operands: &Operands, sequence: Range<usize>, query: usize, head: usize) -> Vec<f64> {
        let shared = head / (self.heads / self.key_value_heads);
        let part = |token: usize, first: usize| {
            let row = &operands.packed[token * self.stride() + first * self.size..][..self.size];
            row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>()
        };
        let position = |table: usize, key: usize| {
            let row = operands.rows[REACH + query - key] as usize;
            let row = &operands.tables[table][(row * self.heads + head) * self.size..][..self.size];
            row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let score = |key: usize| {
            let (q, k) = (part(query, head), part(key, self.heads + shared));
            let mut score = dot(&q, &k);
            if let Terms::Disentangled { keys, queries } = self.terms {
                score += if keys { dot(&q, &position(0, key)) } else { 0.0 };
                score += if queries { dot(&k, &position(1, key)) } else { 0.0 };
            }
            let bias = operands.bias[head * (2 * REACH + 1) + REACH + key - query];
            let scaled = score * f64::from(SCALE);
            let scaled = self.soft_cap.map_or(scaled, |cap| f64::from(cap) * (scaled / f64::from(cap)).tanh());
            scaled + if self.terms == Terms::Bias { f64::from(bias) } else { 0.0 }
        };
        let seen: Vec<usize> = sequence.filter(|key| self.sees(query, *key)).collect();
        let weights: Vec<f64> = seen.iter().map(|key| score(*key).exp()).collect();
        let total: f64 = weights.iter().sum();
        let values = seen.iter().map(|key| part(*key, self.heads + self.key_value_heads + shared));
        let mut result = vec![0.0; self.size];
        for (value, weight) in values.zip(weights) {
            result.iter_mut().zip(value).for_each(|(to, x)| *to += weight * x / total);
        }
        result
    }
}

#[test]
fn attention_agrees_with_its_formula() {
    for case in CASES {
        let operands = case.operands();
        let found: Vec<Vec<f32>> = Isa::available()
            .iter()
            .map(|isa| case.run(*isa, 1, &operands, &operands.offsets, &operands.packed))
            .collect();
        for pair in operands.offsets.windows(2) {
            for (query, head) in (pair[0]..pair[1]).flat_map(|query| (0..case.heads).map(move |head| (query, head))) {
                let expected = case.expected(&operands, pair[0]..pair[1], query, head);
                for (isa, found) in Isa::available().iter().zip(&found) {
                    let found = &found[(query * case.heads + head) * case.size..][..case.size];
                    for (found, expected) in found.iter().zip(&expected) {
                        let error = (f64::from(*found) - expected).abs();
                        let at = query - pair[0];
                        assert!(error <= 1e-5, "{} {case:?}, token {at}: {found}, not {expected}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_alone_and_for_any_number_of_threads() {
    for case in CASES {
        let operands = case.operands();
        let isa = Isa::best();
        let together = case.run(isa, 1, &operands, &operands.offsets, &operands.packed);
        assert_eq!(
            bits(&case.run(isa, 3, &operands, &operands.offsets, &operands.packed)),
            bits(&together),
            "{case:?}"
        );
        for pair in operands.offsets.windows(2) {
            let packed = &operands.packed[pair[0] * case.stride()..pair[1] * case.stride()];
            let alone = case.run(isa, 2, &operands, &[0, pair[1] - pair[0]], packed);
            let width = case.heads * case.size;
            assert_eq!(bits(&alone), bits(&together[pair[0] * width..pair[1] * width]), "{case:?}");
        }
    }
}
