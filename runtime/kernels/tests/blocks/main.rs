//! Weights in blocks: what they stand for, against recordings and definitions, and their products, against plain sums in
//! double precision, for each type and each instruction set that this processor has.

#[path = "../support/mod.rs"]
mod support;

use half::f16;
use runtime_kernels::{Activation, BlockType, Finish, Isa, Packed, Product, Quantized, Team};
use support::{bits, numbers};

/// Blocks of random bytes, whose halves and singles are small numbers of either sign.
fn random_blocks(kind: BlockType, count: usize, seed: u32) -> Vec<u8> {
    let halves: &[usize] = match kind {
        BlockType::Q4_0 | BlockType::Q5_0 | BlockType::Q8_0 => &[0],
        BlockType::Q4_1 | BlockType::Q5_1 | BlockType::Q8_1 | BlockType::Q4_K | BlockType::Q5_K => &[0, 2],
        BlockType::Q2_K => &[80, 82],
        BlockType::Q3_K => &[108],
        BlockType::Q6_K => &[208],
        BlockType::Q8_K => &[],
    };
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut bytes: Vec<u8> = (0..count * kind.bytes()).map(|_| next().to_le_bytes()[1]).collect();
    for (block, factors) in
        bytes.chunks_exact_mut(kind.bytes()).zip(numbers(u64::from(seed), 2 * count).as_chunks::<2>().0)
    {
        for (at, factor) in halves.iter().zip(factors) {
            block[*at..at + 2].copy_from_slice(&f16::from_f32(factor * 0.01).to_le_bytes());
        }
        if kind == BlockType::Q8_K {
            block[..4].copy_from_slice(&(factors[0] * 0.01).to_le_bytes());
        }
    }
    bytes
}

fn dequantized(kind: BlockType, bytes: &[u8]) -> Vec<f32> {
    let mut numbers = vec![f32::NAN; bytes.len() / kind.bytes() * kind.elements()];
    kind.dequantize(bytes, &mut numbers);
    numbers
}

fn from_hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|c| u8::try_from(c.to_digit(16).expect("a digit")).expect("small")).collect();
    digits.as_chunks().0.iter().map(|[high, low]| high << 4 | low).collect()
}

#[test]
fn blocks_stand_for_what_the_package_gguf_says() {
    let recorded = include_str!("recorded.txt");
    for line in recorded.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("three words in a line");
        let (name, bytes, expected) = (word(), from_hexadecimal(word()), from_hexadecimal(word()));
        let kind = *BlockType::ALL.iter().find(|kind| kind.name() == name).expect("a known type");
        let expected: Vec<u32> = expected.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        assert_eq!(bits(&dequantized(kind, &bytes)), expected, "{name}");
    }
    assert_eq!(recorded.lines().count(), 10);
}

#[test]
fn bytes_with_sums_stand_for_a_factor_times_each_byte() {
    for (kind, first) in [(BlockType::Q8_1, 4), (BlockType::Q8_K, 4)] {
        let bytes = random_blocks(kind, 1, 3);
        let scale = match kind {
            BlockType::Q8_K => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        };
        let quants = &bytes[first..first + kind.elements()];
        let expected: Vec<f32> = quants.iter().map(|byte| scale * f32::from(byte.cast_signed())).collect();
        assert_eq!(dequantized(kind, &bytes), expected, "{kind:?}");
    }
}

/// A weight in blocks.
struct Case {
    kind: BlockType,
    isa: Isa,
    inputs: usize,
    outputs: usize,
    bytes: Vec<u8>,
}

impl Case {
    /// A weight of `blocks` blocks of 256 numbers in a row, or of 32, where the type has these.
    fn new(isa: Isa, kind: BlockType, blocks: usize, outputs: usize) -> Self {
        let inputs = blocks * kind.elements();
        Self { kind, isa, inputs, outputs, bytes: random_blocks(kind, blocks * outputs, 5) }
    }

    /// In two pieces, as weights that are joined come.
    fn packed(&self) -> Packed {
        let row = self.bytes.len() / self.outputs;
        let (first, second) = self.bytes.split_at(self.outputs / 3 * row);
        Packed::of_blocks_for(self.isa, self.kind, self.inputs, &[first, second])
    }

    fn run(&self, packed: &Packed, threads: usize, x: &[f32], finish: Finish<'_>) -> Vec<f32> {
        let mut to = vec![f32::NAN; x.len() / self.inputs * self.outputs];
        let product = Product { x, weight: packed, finish };
        Team::of(threads, |team| product.run(team, &mut Quantized::new(), &mut to));
        to
    }

    /// The products of rows, as the bytes of 32 numbers at a time, in double precision, and the sums of their terms'
    /// magnitudes.
    fn expected(&self, x: &[f32]) -> Vec<(f64, f64)> {
        let weight = dequantized(self.kind, &self.bytes);
        let x: Vec<f64> = x.as_chunks::<32>().0.iter().flat_map(as_bytes).collect();
        let dot = |x: &[f64], weight: &[f32]| {
            let terms = x.iter().zip(weight).map(|(x, w)| x * f64::from(*w));
            (terms.clone().sum(), terms.map(f64::abs).sum())
        };
        let rows = x.chunks_exact(self.inputs);
        rows.flat_map(|x| weight.chunks_exact(self.inputs).map(move |weight| dot(x, weight))).collect()
    }
}

/// Numbers rounded to bytes of one scale.
fn as_bytes(x: &[f32; 32]) -> [f64; 32] {
    let scale = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs())) / 127.0;
    let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    x.map(|x| f64::from((x * factor).round_ties_even()) * f64::from(scale))
}

/// Blocks in a row, and outputs: fewer than a panel, several panels, more inputs than are spread out at a time.
const SHAPES: [(usize, usize); 5] = [(1, 1), (2, 16), (3, 21), (18, 33), (41, 50)];

#[test]
fn products_agree_with_sums_in_double_precision() {
    for isa in Isa::available() {
        for kind in BlockType::ALL {
            for (blocks, outputs) in SHAPES {
                let case =
                    Case::new(*isa, kind, if kind.elements() == 256 { blocks.div_ceil(4) } else { blocks }, outputs);
                let packed = case.packed();
                for rows in [1, 2, 3, 4, 5, 9, 130] {
                    let x = numbers(6, rows * case.inputs);
                    let found = case.run(&packed, 1, &x, Finish::default());
                    for (index, (found, (expected, size))) in found.iter().zip(case.expected(&x)).enumerate() {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(
                            error <= 2e-6 * size,
                            "{} {kind:?} {blocks} blocks, {rows} rows, number {index}: {found}, not {expected}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_is_the_same_among_any_rows_and_for_any_number_of_threads() {
    for isa in Isa::available() {
        for kind in BlockType::ALL {
            let case = Case::new(*isa, kind, if kind.elements() == 256 { 5 } else { 35 }, 53);
            let (packed, bias) = (case.packed(), numbers(9, case.outputs));
            let rows = 150;
            let x = numbers(4, rows * case.inputs);
            let finish = Finish { bias: Some(&bias), activation: Some(Activation::Silu), ..Finish::default() };
            let together = case.run(&packed, 1, &x, finish);
            for threads in [2, 3, 7] {
                let found = case.run(&packed, threads, &x, finish);
                assert_eq!(bits(&found), bits(&together), "{} {kind:?}, {threads} threads", isa.name());
            }
            for (first, count) in [(0, 1), (149, 1), (3, 2), (10, 6), (50, 17), (50, 100)] {
                for threads in [1, 2] {
                    let x = &x[first * case.inputs..][..count * case.inputs];
                    let alone = case.run(&packed, threads, x, finish);
                    let part = &together[first * case.outputs..][..count * case.outputs];
                    assert_eq!(bits(&alone), bits(part), "{} {kind:?}, rows {first} + {count}", isa.name());
                }
            }
        }
    }
}

#[test]
fn rows_are_looked_up_as_they_are_stored() {
    for kind in BlockType::ALL {
        let case = Case::new(Isa::best(), kind, 3, 37);
        let (packed, table) = (case.packed(), dequantized(kind, &case.bytes));
        let ids = [36, 0, 17, 17, 15, 16];
        let mut to = vec![f32::NAN; ids.len() * case.inputs];
        Team::of(2, |team| packed.look_up(team, &ids, false, &mut to));
        for (to, id) in to.chunks_exact(case.inputs).zip(ids) {
            assert_eq!(bits(to), bits(&table[id as usize * case.inputs..][..case.inputs]), "{kind:?}, row {id}");
        }
        let before = to.clone();
        Team::of(2, |team| packed.look_up(team, &ids, true, &mut to));
        assert!(to.iter().zip(before).all(|(to, x)| *to == x + x), "{kind:?}: rows are added");
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for kind in [BlockType::Q4_1, BlockType::Q6_K, BlockType::Q8_0] {
        let case = Case::new(Isa::best(), kind, 4, 17);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(2, 2 * case.inputs);
            x[case.inputs + 40] = bad;
            let found = case.run(&case.packed(), 1, &x, Finish::default());
            assert!(found[..17].iter().all(|x| x.is_finite()), "{kind:?}");
            assert!(found[17..].iter().all(|x| !x.is_finite()), "{kind:?}: {bad}");
        }
    }
}
