//! What goes along the tokens of sequences.

use std::ops::Range;

use runtime_gpu::{Convolution, Pooling, Sequence};

use crate::support::{Random, close, gpus, read, room, wide};

/// The rows of sequences.
pub(crate) fn spans(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    lengths
        .iter()
        .map(|length| {
            end += length;
            end - length..end
        })
        .collect()
}

/// Sequences of which nothing is kept.
pub(crate) fn fresh(lengths: &[usize]) -> Vec<Sequence<'static>> {
    lengths.iter().map(|tokens| Sequence { tokens: *tokens, ..Sequence::default() }).collect()
}

#[test]
fn neighbours_stay_in_their_sequence() {
    for gpu in gpus() {
        let mut random = Random::new(20);
        for (longest, width, size) in [(1, 3, 3), (17, 5, 3), (9, 2, 7), (40, 1, 1)] {
            let lengths = random.lengths(longest);
            let rows: usize = lengths.iter().sum();
            let x = random.numbers(rows * width);
            let mut expected = Vec::new();
            for span in spans(&lengths) {
                for token in span.clone() {
                    for place in 0..size {
                        let other = (token + place).checked_sub(size / 2).filter(|other| span.contains(other));
                        expected.extend((0..width).map(|column| other.map_or(0.0, |other| x[other * width + column])));
                    }
                }
            }
            let mut recorder = gpu.record();
            let sequences = recorder.sequences(&fresh(&lengths)).expect("there is memory");
            let (x, to) = (recorder.upload_f32(&x).expect("there is memory"), room(gpu, rows * size * width));
            recorder.neighbours(&sequences, &x, width, size, &to);
            assert_eq!(read(recorder, &to, rows * size * width), expected, "{lengths:?}");
        }
    }
}

#[test]
fn convolutions_in_groups() {
    for gpu in gpus() {
        let mut random = Random::new(21);
        for (longest, groups, inner, outer, size) in
            [(1, 1, 3, 2, 3), (17, 4, 2, 3, 3), (9, 6, 1, 1, 5), (30, 2, 8, 4, 1)]
        {
            let lengths = random.lengths(longest);
            let rows: usize = lengths.iter().sum();
            let (inputs, outputs) = (groups * inner, groups * outer);
            let (x, weight) = (random.numbers(rows * inputs), random.numbers(outputs * inner * size));
            let bias = (random.below(2) == 0).then(|| random.numbers(outputs));
            let mut expected = Vec::new();
            for span in spans(&lengths) {
                for (token, output) in span.clone().flat_map(|token| (0..outputs).map(move |output| (token, output))) {
                    let mut sum = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
                    for (i, place) in (0..inner).flat_map(|i| (0..size).map(move |place| (i, place))) {
                        let other = (token + place).checked_sub(size / 2).filter(|other| span.contains(other));
                        let weight = f64::from(weight[(output * inner + i) * size + place]);
                        let x = other.map_or(0.0, |other| f64::from(x[other * inputs + output / outer * inner + i]));
                        sum += weight * x;
                    }
                    expected.push(sum);
                }
            }
            let mut recorder = gpu.record();
            let sequences = recorder.sequences(&fresh(&lengths)).expect("there is memory");
            let mut upload = |numbers: &[f32]| recorder.upload_f32(numbers).expect("there is memory");
            let (x, weight, bias) = (upload(&x), upload(&weight), bias.map(|bias| upload(&bias)));
            let to = room(gpu, rows * outputs);
            let convolution = Convolution { weight: &weight, bias: bias.as_ref(), inputs, outputs, groups, size };
            recorder.convolution(&sequences, &x, &convolution, &to);
            close(&read(recorder, &to, rows * outputs), &expected, 1e-6, &format!("{lengths:?}, {groups} groups"));
        }
    }
}

#[test]
fn pooling_of_each_kind() {
    for gpu in gpus() {
        let mut random = Random::new(22);
        for pooling in [Pooling::First, Pooling::Last, Pooling::Mean, Pooling::Max] {
            let (lengths, width) = (random.lengths(40), random.of(&[1, 17, 100]));
            let rows: usize = lengths.iter().sum();
            let x = random.numbers(rows * width);
            let numbers = wide(&x);
            let mut expected = Vec::new();
            for span in spans(&lengths) {
                for column in 0..width {
                    let mut column = span.clone().map(|row| numbers[row * width + column]);
                    let count = column.len();
                    let y = match pooling {
                        Pooling::First => column.next(),
                        Pooling::Last => column.next_back(),
                        Pooling::Mean => (count > 0).then(|| column.sum::<f64>() / count as f64),
                        Pooling::Max => column.reduce(f64::max),
                    };
                    expected.push(y.unwrap_or(0.0));
                }
            }
            let mut recorder = gpu.record();
            let sequences = recorder.sequences(&fresh(&lengths)).expect("there is memory");
            let (x, to) = (recorder.upload_f32(&x).expect("there is memory"), room(gpu, lengths.len() * width));
            recorder.pool(&sequences, pooling, &x, width, &to);
            close(&read(recorder, &to, lengths.len() * width), &expected, 1e-6, &format!("{pooling:?} of {lengths:?}"));
        }
    }
}
