//! Operators with a state, whole sequences at once and in runs that go on where the one before has ended.

use runtime_gpu::{
    BLOCK, Buffer, CausalConvolution, Columns, Gpu, KeptStates, Recorder, Scanned, SelectiveScan, Sequence,
};

use crate::support::{Random, close, gpus, read, room, wide};

/// Columns of operands beside those that are used.
const MARGIN: usize = 2;

/// Records an operator over some rows, those of some sequences, with what is kept.
type Operator<'a> = dyn Fn(&mut Recorder, &[usize], &[Sequence<'_>], Option<&KeptStates>, &Buffer) + 'a;

/// Random sequences, and how they are cut into two runs.
struct Texts {
    lengths: Vec<usize>,
    cuts: Vec<usize>,
    blocks: Vec<Vec<u32>>,
    count: usize,
}

impl Texts {
    fn new(random: &mut Random) -> Self {
        let lengths = random.lengths(90);
        let cuts = lengths.iter().map(|length| random.below(length + 1)).collect();
        let counts: Vec<usize> = lengths.iter().map(|length| length.div_ceil(BLOCK)).collect();
        let count = counts.iter().sum::<usize>() + 2;
        let mut free: Vec<u32> = (0..u32::try_from(count).expect("small")).collect();
        let take = |count: usize| (0..count).map(|_| free.swap_remove(random.below(free.len()))).collect();
        Self { lengths, cuts, blocks: counts.into_iter().map(take).collect(), count }
    }

    fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The first row of each text.
    fn firsts(&self) -> Vec<usize> {
        let firsts = self.lengths.iter().scan(0, |sum, length| {
            *sum += length;
            Some(*sum - length)
        });
        firsts.collect()
    }

    /// The rows of a run, and its sequences.
    fn run(&self, second: bool) -> (Vec<usize>, Vec<Sequence<'_>>) {
        let (mut rows, mut sequences) = (Vec::new(), Vec::new());
        for (text, first) in self.firsts().into_iter().enumerate() {
            let (cut, length) = (self.cuts[text], self.lengths[text]);
            let range = if second { cut..length } else { 0..cut };
            sequences.push(Sequence { tokens: range.len(), past: range.start, blocks: &self.blocks[text] });
            rows.extend(range.map(|token| first + token));
        }
        (rows, sequences)
    }

    /// All at once without anything that is kept, and in two runs over states that are copied to other blocks in between.
    fn check(&self, gpu: &Gpu, what: &str, (width, state): (usize, usize), expected: &[f64], run: &Operator<'_>) {
        let whole: Vec<Sequence<'_>> =
            self.lengths.iter().map(|length| Sequence { tokens: *length, past: 0, blocks: &[] }).collect();
        let all: Vec<usize> = (0..self.rows()).collect();
        let to = room(gpu, all.len() * width);
        let mut recorder = gpu.record();
        run(&mut recorder, &all, &whole, None, &to);
        close(&read(recorder, &to, all.len() * width), expected, 3e-6, what);

        let (mut kept, mut found) =
            (KeptStates::new(gpu, self.count, state).expect("memory"), vec![0.0; expected.len()]);
        for second in [false, true] {
            let (rows, sequences) = self.run(second);
            let to = room(gpu, rows.len() * width);
            let mut recorder = gpu.record();
            run(&mut recorder, &rows, &sequences, Some(&kept), &to);
            for (row, part) in rows.iter().zip(read(recorder, &to, rows.len() * width).chunks_exact(width)) {
                found[row * width..(row + 1) * width].copy_from_slice(part);
            }
            // The second run goes on in a larger room, and in copies that were made there and back.
            let grown = KeptStates::new(gpu, self.count + 3, state).expect("memory");
            grown.fill_from(gpu, &kept).expect("it fits");
            let last = u32::try_from(self.count).expect("small");
            let mut recorder = gpu.record();
            for block in self.blocks.iter().flatten() {
                recorder.copy_states(&grown, &[(*block, last)]).expect("memory");
                recorder.copy_states(&grown, &[(last, *block)]).expect("memory");
            }
            recorder.finish(&[]).expect("the recording is right");
            kept = grown;
        }
        close(&found, expected, 3e-6, &format!("{what}, in two runs"));
    }
}

/// A matrix between margins.
struct Matrix {
    x: Vec<f32>,
    width: usize,
}

impl Matrix {
    fn new(random: &mut Random, rows: usize, width: usize) -> Self {
        Self { x: random.numbers(rows * (width + 2 * MARGIN)), width }
    }

    fn stride(&self) -> usize {
        self.width + 2 * MARGIN
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.x[row * self.stride() + MARGIN + column])
    }

    fn upload(&self, recorder: &mut Recorder, rows: &[usize]) -> Buffer {
        let stride = self.stride();
        let rows: Vec<f32> = rows.iter().flat_map(|row| self.x[row * stride..(row + 1) * stride].to_vec()).collect();
        recorder.upload_f32(&rows).expect("there is memory")
    }

    fn columns<'a>(&self, buffer: &'a Buffer) -> Columns<'a> {
        Columns { buffer, stride: self.stride(), first: MARGIN }
    }
}

#[test]
fn causal_convolutions() {
    for gpu in gpus() {
        let mut random = Random::new(60);
        for (width, size) in [(1, 4), (5, 1), (64, 2), (100, 4), (130, 40)] {
            let texts = Texts::new(&mut random);
            let x = Matrix::new(&mut random, texts.rows(), width);
            let (weight, bias) = (random.numbers(size * width), random.numbers(width));
            let bias = (random.below(2) == 0).then_some(bias);
            let mut expected = Vec::new();
            for (first, length) in texts.firsts().into_iter().zip(&texts.lengths) {
                for (token, column) in (0..*length).flat_map(|token| (0..width).map(move |column| (token, column))) {
                    let places = (0..size).filter(|place| token + place + 1 >= size);
                    let product = |place| {
                        f64::from(weight[place * width + column]) * x.at(first + token + place + 1 - size, column)
                    };
                    let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[column]));
                    expected.push(bias + places.map(product).sum::<f64>());
                }
            }
            let weight = gpu.upload_f32(&weight).expect("there is memory");
            let bias = bias.map(|bias| gpu.upload_f32(&bias).expect("there is memory"));
            let convolution = CausalConvolution { weight: &weight, bias: bias.as_ref(), width, size };
            let what = format!("{width} columns over {size} tokens, {:?} cut at {:?}", texts.lengths, texts.cuts);
            let state = (size - 1) * width;
            texts.check(gpu, &what, (width, state), &expected, &|recorder, rows, sequences, kept, to| {
                let buffer = x.upload(recorder, rows);
                let sequences = recorder.sequences(sequences).expect("there is memory");
                recorder.causal_convolution(&sequences, kept, x.columns(&buffer), &convolution, to);
            });
        }
    }
}

#[test]
fn selective_scans() {
    for gpu in gpus() {
        let mut random = Random::new(61);
        for (width, states) in [(1, 1), (7, 17), (64, 16), (100, 5), (130, 24)] {
            let texts = Texts::new(&mut random);
            let rows = texts.rows();
            let [x, mut delta] = [0, 1].map(|_| Matrix::new(&mut random, rows, width));
            delta.x.iter_mut().for_each(|delta| *delta = delta.abs());
            let [b, c] = [0, 1].map(|_| Matrix::new(&mut random, rows, states));
            let a: Vec<f32> = random.numbers(states * width).iter().map(|a| -8.0 * a * a).collect();
            let d = (random.below(2) == 0).then(|| random.numbers(width));
            let mut expected = vec![0.0; rows * width];
            for (first, length) in texts.firsts().into_iter().zip(&texts.lengths) {
                for column in 0..width {
                    let mut h = vec![0.0; states];
                    for row in first..first + length {
                        let (x, delta) = (x.at(row, column), delta.at(row, column));
                        let mut y = d.as_ref().map_or(0.0, |d| wide(d)[column]) * x;
                        for (state, h) in h.iter_mut().enumerate() {
                            *h = (delta * f64::from(a[state * width + column])).exp() * *h
                                + delta * b.at(row, state) * x;
                            y += c.at(row, state) * *h;
                        }
                        expected[row * width + column] = y;
                    }
                }
            }
            let a = gpu.upload_f32(&a).expect("there is memory");
            let d = d.map(|d| gpu.upload_f32(&d).expect("there is memory"));
            let scan = SelectiveScan { a: &a, d: d.as_ref(), width, states };
            let what = format!("{width} columns of {states} states, {:?} cut at {:?}", texts.lengths, texts.cuts);
            texts.check(gpu, &what, (width, states * width), &expected, &|recorder, rows, sequences, kept, to| {
                let operands = [&x, &delta, &b, &c].map(|matrix| matrix.upload(recorder, rows));
                let sequences = recorder.sequences(sequences).expect("there is memory");
                let scanned = Scanned {
                    x: x.columns(&operands[0]),
                    delta: delta.columns(&operands[1]),
                    b: b.columns(&operands[2]),
                    c: c.columns(&operands[3]),
                };
                recorder.selective_scan(&sequences, kept, scanned, &scan, to);
            });
        }
    }
}
