//! Operators with a state against plain loops in double precision, and cut into runs.

mod support;

use runtime_kernels::{BLOCK, Buffer, CausalConvolution, Columns, Kept, Past, Scanned, SelectiveScan, States, Team};
use support::{bits, numbers};

/// Sequences, widths that are no multiple of vectors too, and states or tokens that an operator reaches over.
const LENGTHS: [usize; 7] = [5, 1, 0, 70, 2, 33, 97];
const WIDTHS: [usize; 5] = [1, 7, 16, 100, 129];
const SIZES: [usize; 5] = [1, 2, 4, 17, 40];
/// Columns of operands on both sides of those that are used.
const MARGIN: usize = 3;

fn offsets(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let sums = lengths.scan(0, |sum, length| {
        *sum += length;
        Some(*sum)
    });
    std::iter::once(0).chain(sums).collect()
}

/// A matrix with margins.
struct Matrix {
    x: Vec<f32>,
    width: usize,
}

impl Matrix {
    fn new(seed: u64, rows: usize, width: usize) -> Self {
        Self { x: numbers(seed, rows * (width + 2 * MARGIN)), width }
    }

    fn stride(&self) -> usize {
        self.width + 2 * MARGIN
    }

    fn columns(&self) -> Columns<'_> {
        Columns { x: &self.x, stride: self.stride(), first: MARGIN }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.x[row * self.stride() + MARGIN + column])
    }

    /// Some rows of some others, end to end.
    fn rows(&self, rows: &[usize]) -> Self {
        let row = |row: &usize| self.x[row * self.stride()..(row + 1) * self.stride()].to_vec();
        Self { x: rows.iter().flat_map(row).collect(), width: self.width }
    }
}

fn close(what: &str, found: &[f32], expected: &[f64]) {
    let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - expected).abs();
        assert!(off <= 2e-6 * largest.max(1.0), "{what}, number {at}: {found}, not {expected}");
    }
}

/// Computes some rows, which are those of sequences between offsets, with what is kept.
type Operator<'a> = dyn Fn(&Team<'_>, &[usize], &[usize], Option<States<'_>>, &mut [f32]) + 'a;

/// One run over all sequences, and the same cut into runs of random lengths; both have the same bits.
fn whole_and_cut(what: &str, width: usize, state: usize, run: &Operator<'_>) -> Vec<f32> {
    let all = offsets(LENGTHS.into_iter());
    let tokens = all[LENGTHS.len()];
    let rows: Vec<usize> = (0..tokens).collect();
    let mut whole = vec![f32::NAN; tokens * width];
    run(&Team::alone(), &rows, &all, None, &mut whole);
    let mut threaded = vec![f32::NAN; tokens * width];
    Team::of_pool(|team| run(team, &rows, &all, None, &mut threaded));
    assert_eq!(bits(&threaded), bits(&whole), "{what}: by several threads");

    // Something else precedes the state in a block, and follows it.
    let first = 5;
    let mut memory: Vec<Buffer> = Vec::new();
    let blocks: Vec<Vec<u32>> = LENGTHS
        .iter()
        .map(|length| {
            (0..length.div_ceil(BLOCK))
                .map(|_| {
                    let mut buffer = Buffer::default();
                    buffer.fit(first + state + 2);
                    buffer.fill(f32::NAN);
                    memory.push(buffer);
                    u32::try_from(memory.len() - 1).expect("few blocks")
                })
                .collect()
        })
        .collect();
    let mut done = [0; LENGTHS.len()];
    let mut cut = vec![f32::NAN; tokens * width];
    let mut draws = numbers(tokens as u64 + width as u64, 10_000).into_iter();
    while done != LENGTHS {
        let mut draw = || draws.next().expect("few runs");
        let most = |draw: f32| {
            if draw < 0.0 {
                1
            } else if draw < 0.5 {
                3
            } else {
                50
            }
        };
        let new: Vec<usize> = (0..LENGTHS.len())
            .map(|index| if draw() < 0.3 { most(draw()).min(LENGTHS[index] - done[index]) } else { 0 })
            .collect();
        let runs = offsets(new.iter().copied());
        let rows: Vec<usize> =
            (0..LENGTHS.len()).flat_map(|index| (all[index] + done[index]..).take(new[index])).collect();
        let pasts = (0..LENGTHS.len()).map(|index| Past { tokens: done[index], blocks: &blocks[index] }).collect();
        let kept = Kept::new(&mut memory, pasts, Vec::new(), &runs);
        let mut to = vec![f32::NAN; rows.len() * width];
        Team::of_pool(|team| run(team, &rows, &runs, Some(States { kept: &kept, first }), &mut to));
        for (row, to) in rows.iter().zip(to.chunks_exact(width)) {
            cut[row * width..(row + 1) * width].copy_from_slice(to);
        }
        done.iter_mut().zip(&new).for_each(|(done, new)| *done += new);
    }
    assert_eq!(bits(&cut), bits(&whole), "{what}: cut into runs");
    let untouched = |block: &Buffer| block[..first].iter().chain(&block[first + state..]).all(|x| x.is_nan());
    assert!(memory.iter().all(untouched), "{what}: writes its state alone");
    whole
}

fn sequence_of(row: usize) -> usize {
    let all = offsets(LENGTHS.into_iter());
    all[all.partition_point(|offset| *offset <= row) - 1]
}

#[test]
fn causal_convolutions_agree_with_their_formula() {
    let tokens = LENGTHS.iter().sum();
    for (seed, (width, size)) in (1..).zip(WIDTHS.into_iter().flat_map(|width| SIZES.map(|size| (width, size)))) {
        let x = Matrix::new(seed, tokens, width);
        let (weight, bias) = (numbers(seed + 100, size * width), numbers(seed + 200, width));
        let bias = (seed % 2 == 0).then_some(&bias[..]);
        let convolution = CausalConvolution { weight: &weight, bias, width, size };
        let what = format!("{width} columns over {size} tokens");
        let found = whole_and_cut(&what, width, (size - 1) * width, &|team, rows, offsets, states, to| {
            convolution.run(team, offsets, states, x.rows(rows).columns(), to);
        });
        let number = |row: usize, column: usize| {
            let first = sequence_of(row);
            let places = (0..size).filter(|place| row + place >= first + size - 1);
            let product = |place| f64::from(weight[place * width + column]) * x.at(row + place + 1 - size, column);
            bias.map_or(0.0, |bias| f64::from(bias[column])) + places.map(product).sum::<f64>()
        };
        let expected: Vec<f64> = (0..tokens * width).map(|at| number(at / width, at % width)).collect();
        close(&what, &found, &expected);
    }
}

#[test]
fn selective_scans_agree_with_their_formula() {
    let tokens = LENGTHS.iter().sum();
    for (seed, (width, states)) in (1..).zip(WIDTHS.into_iter().flat_map(|width| SIZES.map(|states| (width, states)))) {
        let [x, mut delta] = [0, 100].map(|other| Matrix::new(seed + other, tokens, width));
        delta.x.iter_mut().for_each(|delta| *delta = delta.abs());
        let [b, c] = [200, 300].map(|other| Matrix::new(seed + other, tokens, states));
        // Up to -20, so that some states are forgotten at once.
        let a: Vec<f32> = numbers(seed + 400, states * width).iter().map(|a| -20.0 * a * a).collect();
        let d = numbers(seed + 500, width);
        let d = (seed % 2 == 0).then_some(&d[..]);
        let scan = SelectiveScan { a: &a, d, width, states };
        let what = format!("{width} columns of {states} states");
        let found = whole_and_cut(&what, width, states * width, &|team, rows, offsets, kept, to| {
            let [x, delta, b, c] = [&x, &delta, &b, &c].map(|matrix| matrix.rows(rows));
            let scanned = Scanned { x: x.columns(), delta: delta.columns(), b: b.columns(), c: c.columns() };
            scan.run(team, offsets, kept, scanned, to);
        });
        let mut expected = vec![0.0; tokens * width];
        for column in 0..width {
            let mut h = vec![0.0; states];
            for row in 0..tokens {
                if sequence_of(row) == row {
                    h.fill(0.0);
                }
                let (x, delta) = (x.at(row, column), delta.at(row, column));
                let mut y = d.map_or(0.0, |d| f64::from(d[column])) * x;
                for (state, h) in h.iter_mut().enumerate() {
                    let a = f64::from(a[state * width + column]);
                    *h = (delta * a).exp() * *h + delta * b.at(row, state) * x;
                    y += c.at(row, state) * *h;
                }
                expected[row * width + column] = y;
            }
        }
        close(&what, &found, &expected);
    }
}
