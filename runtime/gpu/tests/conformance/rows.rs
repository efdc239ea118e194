//! What goes number by number, row by row or column by column.

use runtime_gpu::{Activation, Columns, Correction, Elementwise, Norm, Rotary};

use crate::support::{Random, SIZES, close, gpus, read, room, wide};

pub(crate) const ACTIVATIONS: [Activation; 8] = [
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Exp,
];

pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0f64.sqrt())),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Exp => x.exp(),
    }
}

/// By its series, or for large numbers by its continued fraction.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    // 2 / sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1)), of which all terms have one sign.
    let (mut term, mut sum) = (x, x);
    for n in 1..300 {
        term *= 2.0 * x * x / (2.0 * f64::from(n) + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[test]
fn chains_of_functions() {
    for gpu in gpus() {
        let mut random = Random::new(10);
        for count in [0, 1, 3, 64, 1000, 70_001] {
            for in_place in [false, true] {
                let x: Vec<f32> = random.numbers(count).iter().map(|x| 8.0 * x).collect();
                let activation = (random.below(2) == 0).then(|| random.of(&ACTIVATIONS));
                let scale = (random.below(2) == 0).then(|| random.numbers(1)[0]);
                let multiply = (random.below(2) == 0).then(|| random.numbers(count));
                let add = (random.below(2) == 0).then(|| random.numbers(count));
                let expected: Vec<f64> = (0..count)
                    .map(|at| {
                        let y =
                            activation.map_or(f64::from(x[at]), |activation| activate(activation, f64::from(x[at])));
                        let y = y * scale.map_or(1.0, f64::from) * multiply.as_ref().map_or(1.0, |m| f64::from(m[at]));
                        y + add.as_ref().map_or(0.0, |add| f64::from(add[at]))
                    })
                    .collect();
                let mut recorder = gpu.record();
                let mut upload = |numbers: &[f32]| recorder.upload_f32(numbers).expect("there is memory");
                let (x, multiply, add) = (upload(&x), multiply.map(|m| upload(&m)), add.map(|add| upload(&add)));
                let to = if in_place { x.clone() } else { room(gpu, count) };
                let chain = Elementwise { activation, scale, multiply: multiply.as_ref(), add: add.as_ref() };
                recorder.elementwise(&x, count, &chain, &to);
                let found = read(recorder, &to, count);
                close(&found, &expected, 1e-6, &format!("{count} numbers, {activation:?}, {scale:?}"));
            }
        }
    }
}

#[test]
fn more_workgroups_than_a_dimension_has() {
    // Each workgroup has 128 numbers of one column; 65,535 of them are 8,388,480.
    let (rows, width) = (8_388_480 + 12_345, 1);
    for gpu in gpus() {
        let mut random = Random::new(11);
        let (x, factors) = (random.numbers(rows * width), random.numbers(rows));
        let mut recorder = gpu.record();
        let [x_there, factors_there] = [&x, &factors].map(|numbers| recorder.upload_f32(numbers).expect("memory"));
        let to = room(gpu, rows * width);
        recorder.scale_rows(&x_there, &factors_there, rows, width, &to);
        let found = read(recorder, &to, rows * width);
        let expected: Vec<f64> = x.iter().zip(&factors).map(|(x, factor)| f64::from(*x) * f64::from(*factor)).collect();
        close(&found, &expected, 1e-7, "one by one");
    }
}

#[test]
fn rows_by_number_and_columns() {
    for gpu in gpus() {
        let mut random = Random::new(12);
        for _ in 0..6 {
            let (rows, stride) = (random.of(&SIZES), random.of(&SIZES));
            let width = 1 + random.below(stride);
            let first = random.below(stride - width + 1);
            let count = random.of(&[0, 1, 3, 100]);
            let x = random.numbers(rows * stride);
            let ids: Vec<usize> = (0..count).map(|_| random.below(rows)).collect();
            let mut recorder = gpu.record();
            let x_there = recorder.upload_f32(&x).expect("there is memory");
            let small: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).expect("small")).collect();
            let ids_there = recorder.upload_u32(&small).expect("there is memory");
            let (columns, selected) = (room(gpu, rows * width), room(gpu, count * stride));
            recorder.copy_columns(Columns { buffer: &x_there, stride, first }, rows, width, &columns);
            recorder.select_rows(&x_there, stride, &ids_there, count, &selected);
            let reads = [(&columns, rows * width), (&selected, count * stride)];
            let reads = reads.map(|(buffer, count)| runtime_gpu::Read::new(buffer, 0, count));
            let results = recorder.finish(&reads).expect("the recording is right");
            let columns: Vec<f32> = x.chunks_exact(stride).flat_map(|row| row[first..first + width].to_vec()).collect();
            assert_eq!(results.f32(0), columns);
            let selected: Vec<f32> = ids.iter().flat_map(|id| x[id * stride..(id + 1) * stride].to_vec()).collect();
            assert_eq!(results.f32(1), selected);
        }
    }
}

#[test]
fn parts_of_rows_side_by_side() {
    for gpu in gpus() {
        let mut random = Random::new(15);
        for _ in 0..6 {
            let (rows, parts) = (random.of(&SIZES), random.of(&[1, 2, 5, 16]));
            let widths = [0, 1].map(|_| parts * (1 + random.below(9)));
            let firsts = [0, 1].map(|_| random.below(4));
            let strides = [0, 1].map(|at| firsts[at] + widths[at] + random.below(3));
            let numbers = strides.map(|stride| random.numbers(rows * stride));
            let mut recorder = gpu.record();
            let [a, b] = [0, 1].map(|at| recorder.upload_f32(&numbers[at]).expect("there is memory"));
            let count = rows * (widths[0] + widths[1]);
            let to = room(gpu, count);
            let [a, b] =
                [(&a, 0), (&b, 1)].map(|(buffer, at)| Columns { buffer, stride: strides[at], first: firsts[at] });
            recorder.join(a, b, rows, widths, parts, &to);
            let found = read(recorder, &to, count);
            let row = |at: usize, row: usize| &numbers[at][row * strides[at] + firsts[at]..][..widths[at]];
            let expected: Vec<f32> = (0..rows)
                .flat_map(|number| {
                    let [a, b] = [0, 1].map(|at| row(at, number).chunks(widths[at] / parts));
                    a.zip(b).flat_map(|(a, b)| [a, b].concat()).collect::<Vec<_>>()
                })
                .collect();
            assert_eq!(found, expected, "{rows} rows, {parts} parts of {widths:?}");
        }
    }
}

#[test]
fn corrections_of_some_rows_and_columns() {
    for gpu in gpus() {
        let mut random = Random::new(14);
        for _ in 0..8 {
            let (rows, stride) = (random.of(&SIZES), random.of(&SIZES));
            let columns = 1 + random.below(stride);
            let first = random.below(stride - columns + 1);
            let chosen = (random.below(3) > 0).then(|| (0..rows).filter(|_| random.below(2) == 0).collect::<Vec<_>>());
            let count = chosen.as_ref().map_or(rows, Vec::len);
            let x = random.numbers(rows * stride);
            let some = |random: &mut Random, count| (random.below(2) == 0).then(|| random.numbers(count));
            let [factors, bias] = [0, 1].map(|_| some(&mut random, columns));
            let add = some(&mut random, count * columns);
            let mut expected = wide(&x);
            for at in 0..count {
                let row = chosen.as_ref().map_or(at, |chosen| chosen[at]);
                for column in 0..columns {
                    let y = &mut expected[row * stride + first + column];
                    let of = |vector: &Option<Vec<f32>>, at: usize| vector.as_ref().map(|vector| f64::from(vector[at]));
                    *y = *y * of(&factors, column).unwrap_or(1.0)
                        + of(&add, at * columns + column).unwrap_or(0.0)
                        + of(&bias, column).unwrap_or(0.0);
                }
            }
            let mut recorder = gpu.record();
            let x = recorder.upload_f32(&x).expect("there is memory");
            let ids =
                chosen.map(|chosen| chosen.iter().map(|row| u32::try_from(*row).expect("small")).collect::<Vec<_>>());
            let ids = ids.map(|ids| recorder.upload_u32(&ids).expect("there is memory"));
            let mut upload =
                |numbers: Option<Vec<f32>>| numbers.map(|n| recorder.upload_f32(&n).expect("there is memory"));
            let (factors, add, bias) = (upload(factors), upload(add), upload(bias));
            let correction = Correction {
                rows: ids.as_ref(),
                count,
                columns,
                factors: factors.as_ref(),
                add: add.as_ref(),
                bias: bias.as_ref(),
            };
            recorder.correct(Columns { buffer: &x, stride, first }, &correction);
            let found = read(recorder, &x, rows * stride);
            close(&found, &expected, 1e-6, &format!("{count} of {rows} rows, {columns} of {stride} columns"));
        }
    }
}

#[test]
fn norms_of_rows_and_of_parts() {
    for gpu in gpus() {
        let mut random = Random::new(13);
        for width in [1, 3, 17, 64, 65, 100, 257, 1030] {
            for centred in [false, true] {
                let (rows, in_place) = (random.of(&[0, 1, 17]), random.below(2) == 0);
                let x: Vec<f32> = random.numbers(rows * width).iter().map(|x| 3.0 * x + 1.0).collect();
                let (weight, bias) = (random.numbers(width), (random.below(2) == 0).then(|| random.numbers(width)));
                let epsilon = 1e-5f32;
                let mut expected = Vec::new();
                for row in wide(&x).chunks_exact(width) {
                    let count = width as f64;
                    let mean = if centred { row.iter().sum::<f64>() / count } else { 0.0 };
                    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
                    expected.extend(row.iter().enumerate().map(|(at, x)| {
                        (x - mean) * scale * f64::from(weight[at])
                            + bias.as_ref().map_or(0.0, |bias| f64::from(bias[at]))
                    }));
                }
                let mut recorder = gpu.record();
                let mut upload = |numbers: &[f32]| recorder.upload_f32(numbers).expect("there is memory");
                let (x, weight, bias) = (upload(&x), upload(&weight), bias.map(|bias| upload(&bias)));
                let to = if in_place { x.clone() } else { room(gpu, rows * width) };
                let norm = Norm { centred, weight: &weight, bias: bias.as_ref(), width, epsilon };
                recorder.norm(&x, rows, &norm, &to);
                let found = read(recorder, &to, rows * width);
                close(&found, &expected, 3e-6, &format!("{rows} rows of {width}, centred {centred}"));
            }
        }
    }
}

#[test]
fn rotations_of_some_columns() {
    for gpu in gpus() {
        let mut random = Random::new(14);
        for (heads, head_size, frequencies) in [(1, 2, 1), (3, 8, 4), (2, 20, 6), (5, 64, 32)] {
            let (rows, before, behind) = (random.of(&[0, 1, 17, 65]), random.below(5), random.below(5));
            let (width, stride) = (heads * head_size, before + heads * head_size + behind);
            let x = random.numbers(rows * stride);
            let positions: Vec<usize> = (0..rows).map(|_| random.below(40)).collect();
            let angles: Vec<f64> = (0..40 * frequencies).map(|_| f64::from(random.numbers(1)[0]) * 3.0).collect();
            let mut expected = wide(&x);
            for (row, position) in expected.chunks_exact_mut(stride).zip(&positions) {
                for head in row[before..before + width].chunks_exact_mut(head_size) {
                    for i in 0..frequencies {
                        let (sine, cosine) = angles[position * frequencies + i].sin_cos();
                        let (a, b) = (head[i], head[i + frequencies]);
                        head[i] = a * cosine - b * sine;
                        head[i + frequencies] = b * cosine + a * sine;
                    }
                }
            }
            let of_angles = |function: fn(f64) -> f64| angles.iter().map(|x| function(*x) as f32).collect::<Vec<_>>();
            let cosines = gpu.upload_f32(&of_angles(f64::cos)).expect("there is memory");
            let sines = gpu.upload_f32(&of_angles(f64::sin)).expect("there is memory");
            let mut recorder = gpu.record();
            let x = recorder.upload_f32(&x).expect("there is memory");
            let positions: Vec<u32> = positions.iter().map(|at| u32::try_from(*at).expect("small")).collect();
            let positions = recorder.upload_u32(&positions).expect("there is memory");
            let rotary = Rotary { cosines: &cosines, sines: &sines, frequencies, head_size };
            recorder.rotary(Columns { buffer: &x, stride, first: before }, rows, width, &positions, &rotary);
            let found = read(recorder, &x, rows * stride);
            close(&found, &expected, 5e-7, &format!("{rows} rows, {heads} heads of {head_size}"));
        }
    }
}
