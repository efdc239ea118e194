//! Products and look-ups, with each kind of weight.

use half::{bf16, f16};
use runtime_gpu::{Adapter, Capabilities, Finish, Gpu, Precision, Stored, Weight, adapters};
use runtime_kernels::{Activation, BlockType};

use crate::rows::{ACTIVATIONS, activate};
use crate::support::{Random, SIZES, close, gpus, read, room, wide};

/// The most rows of products that never go through cooperative matrices.
const FEW: usize = 16;

/// A stored matrix and its numbers.
pub(crate) struct Matrix {
    stored: Stored,
    pub(crate) bytes: Vec<u8>,
    pub(crate) numbers: Vec<f64>,
}

pub(crate) fn matrix(random: &mut Random, stored: Stored, outputs: usize, inputs: usize) -> Matrix {
    let numbers = random.numbers(outputs * inputs);
    let (bytes, numbers): (Vec<u8>, Vec<f64>) = match stored {
        Stored::F32 => (numbers.iter().flat_map(|x| x.to_le_bytes()).collect(), wide(&numbers)),
        Stored::F16 => {
            let halves: Vec<f16> = numbers.iter().map(|x| f16::from_f32(*x)).collect();
            (halves.iter().flat_map(|x| x.to_le_bytes()).collect(), halves.iter().map(|x| x.to_f64()).collect())
        }
        Stored::Bf16 => {
            let halves: Vec<bf16> = numbers.iter().map(|x| bf16::from_f32(*x)).collect();
            (halves.iter().flat_map(|x| x.to_le_bytes()).collect(), halves.iter().map(|x| x.to_f64()).collect())
        }
        Stored::Blocks(kind) => {
            let bytes = blocks(random, kind, outputs * inputs / kind.elements());
            let mut numbers = vec![0.0; outputs * inputs];
            // As `runtime-kernels` reads them, which its own tests hold to ggml.
            kind.dequantize(&bytes, &mut numbers);
            (bytes, wide(&numbers))
        }
    };
    Matrix { stored, bytes, numbers }
}

/// Blocks of random numbers and random factors of a sensible size.
fn blocks(random: &mut Random, kind: BlockType, count: usize) -> Vec<u8> {
    let mut bytes = random.bytes(count * kind.bytes());
    for block in bytes.chunks_exact_mut(kind.bytes()) {
        let half = |random: &mut Random| f16::from_f32(random.numbers(1)[0] * 0.1).to_le_bytes();
        match kind {
            BlockType::Q8_K => {
                let scale = random.numbers(1)[0] * 0.1;
                block[..4].copy_from_slice(&scale.to_le_bytes());
            }
            BlockType::Q2_K => {
                block[80..82].copy_from_slice(&half(random));
                block[82..84].copy_from_slice(&half(random));
            }
            BlockType::Q3_K => block[108..110].copy_from_slice(&half(random)),
            BlockType::Q6_K => block[208..210].copy_from_slice(&half(random)),
            BlockType::Q4_1 | BlockType::Q5_1 | BlockType::Q4_K | BlockType::Q5_K | BlockType::Q8_1 => {
                block[..2].copy_from_slice(&half(random));
                block[2..4].copy_from_slice(&half(random));
            }
            _ => block[..2].copy_from_slice(&half(random)),
        }
    }
    bytes
}

pub(crate) struct Case {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) stored: Stored,
}

pub(crate) fn check(gpu: &Gpu, random: &mut Random, case: &Case) {
    let Case { rows, inputs, outputs, stored } = *case;
    let matrix = matrix(random, stored, outputs, inputs);
    let x = random.numbers(rows * inputs);
    let bias = (random.below(2) == 0).then(|| random.numbers(outputs));
    let factor = (random.below(2) == 0).then(|| random.numbers(rows * outputs));
    let add = (random.below(2) == 0).then(|| random.numbers(rows * outputs));
    // Large sums have exponentials beyond single precision.
    let bounded: Vec<Activation> = ACTIVATIONS.into_iter().filter(|kind| *kind != Activation::Exp).collect();
    let activation = (random.below(2) == 0).then(|| random.of(&bounded));

    let mut expected = Vec::new();
    let mut largest_sum = 0.0f64;
    for row in 0..rows {
        for output in 0..outputs {
            let weights = &matrix.numbers[output * inputs..][..inputs];
            let products = weights.iter().zip(&x[row * inputs..]).map(|(weight, x)| weight * f64::from(*x));
            largest_sum = largest_sum.max(products.clone().map(f64::abs).sum());
            let sum: f64 = products.sum();
            let at = row * outputs + output;
            let mut y = sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
            y = activation.map_or(y, |activation| activate(activation, y));
            y *= factor.as_ref().map_or(1.0, |factor| f64::from(factor[at]));
            expected.push(y + add.as_ref().map_or(0.0, |add| f64::from(add[at])));
        }
    }

    // Cut into pieces, as joined matrices are.
    let row = matrix.bytes.len() / outputs;
    let (first, second) = matrix.bytes.split_at(random.below(outputs + 1) * row);
    let weight = Weight::new(gpu, stored, inputs, &[first, second], Precision::AsStored).expect("there is memory");
    assert_eq!((weight.outputs(), weight.inputs()), (outputs, inputs));
    let upload =
        |numbers: &Option<Vec<f32>>| numbers.as_ref().map(|numbers| gpu.upload_f32(numbers).expect("there is memory"));
    let (bias, factor, add) = (upload(&bias), upload(&factor), upload(&add));
    let mut recorder = gpu.record();
    let x = recorder.upload_f32(&x).expect("there is memory");
    let to = room(gpu, rows * outputs);
    let finish = Finish { bias: bias.as_ref(), activation, factor: factor.as_ref(), add: add.as_ref() };
    recorder.product(&x, rows, &weight, &finish, &to);
    let found = read(recorder, &to, rows * outputs);
    // A sum in single precision is off by some of its steps, in proportion to the sum of magnitudes; with blocks in halves,
    // both factors of each product are off.
    let largest = expected.iter().fold(1.0f64, |largest, x| largest.max(x.abs()));
    let halved = rows > FEW && matches!(stored, Stored::Blocks(_)) && gpu.capabilities().cooperative.is_some();
    let tolerance = 1e-6 + if halved { 2e-3 } else { 2e-6 } * largest_sum / largest;
    close(
        &found,
        &expected,
        tolerance,
        &format!("{rows} rows, {inputs} inputs, {outputs} outputs, {stored:?}, {activation:?}"),
    );
}

#[test]
fn products_of_plain_numbers() {
    for gpu in gpus() {
        let mut random = Random::new(1);
        for stored in [Stored::F32, Stored::F16, Stored::Bf16] {
            for rows in [0, 1, 2, 3, 5, 8, 9, 16, 17, 65, 130] {
                let (inputs, outputs) = (random.of(&SIZES), random.of(&SIZES));
                check(gpu, &mut random, &Case { rows, inputs, outputs, stored });
            }
        }
    }
}

#[test]
fn products_of_blocks() {
    for gpu in gpus() {
        let mut random = Random::new(2);
        for kind in BlockType::ALL {
            for rows in [1, 4, 33] {
                let inputs = kind.elements() * (1 + random.below(3));
                let outputs = random.of(&SIZES);
                check(gpu, &mut random, &Case { rows, inputs, outputs, stored: Stored::Blocks(kind) });
            }
        }
    }
}

#[test]
fn inputs_that_workgroups_share() {
    for gpu in gpus() {
        let mut random = Random::new(7);
        for (rows, inputs, stored) in [
            (40, 1501, Stored::F32),
            (33, 1030, Stored::Bf16),
            (17, 2048, Stored::Blocks(BlockType::Q4_K)),
            (70, 544, Stored::Blocks(BlockType::Q4_0)),
        ] {
            check(gpu, &mut random, &Case { rows, inputs, outputs: 100, stored });
        }
    }
}

#[test]
fn single_precision_is_halved_where_asked() {
    for gpu in gpus() {
        let mut random = Random::new(3);
        let (rows, inputs, outputs) = (2, 65, 17);
        let matrix = matrix(&mut random, Stored::F32, outputs, inputs);
        let x = random.numbers(rows * inputs);
        let halved = Weight::new(gpu, Stored::F32, inputs, &[&matrix.bytes], Precision::Half).expect("there is memory");
        let mut recorder = gpu.record();
        let (x_there, to) = (recorder.upload_f32(&x).expect("there is memory"), room(gpu, rows * outputs));
        recorder.product(&x_there, rows, &halved, &Finish::default(), &to);
        let found = read(recorder, &to, rows * outputs);
        let half = |x: f64| f64::from(f16::from_f64(x).to_f32());
        let expected: Vec<f64> = (0..rows * outputs)
            .map(|at| {
                let (row, output) = (at / outputs, at % outputs);
                (0..inputs).map(|k| half(matrix.numbers[output * inputs + k]) * f64::from(x[row * inputs + k])).sum()
            })
            .collect();
        close(&found, &expected, 1e-5, "halved");
    }
}

#[test]
fn look_ups_of_each_kind() {
    for gpu in gpus() {
        let mut random = Random::new(4);
        let kinds = [Stored::F32, Stored::F16, Stored::Bf16].into_iter().chain(BlockType::ALL.map(Stored::Blocks));
        for stored in kinds {
            let width = match stored {
                Stored::Blocks(kind) => 2 * kind.elements(),
                _ => random.of(&SIZES),
            };
            let (rows, count) = (1 + random.below(50), random.of(&[0, 1, 3, 100]));
            let tables = [matrix(&mut random, stored, rows, width), matrix(&mut random, Stored::F32, rows, width)];
            let ids = [0, 1]
                .map(|_| (0..count).map(|_| u32::try_from(random.below(rows)).expect("small")).collect::<Vec<_>>());
            let mut recorder = gpu.record();
            let to = room(gpu, count * width);
            for (index, (table, ids)) in tables.iter().zip(&ids).enumerate() {
                let table =
                    Weight::new(gpu, table.stored, width, &[&table.bytes], Precision::AsStored).expect("memory");
                let ids = recorder.upload_u32(ids).expect("there is memory");
                recorder.look_up(&table, &ids, count, index > 0, &to);
            }
            let found = read(recorder, &to, count * width);
            let number =
                |table: usize, at: usize| tables[table].numbers[ids[table][at / width] as usize * width + at % width];
            let expected: Vec<f64> = (0..count * width).map(|at| number(0, at) + number(1, at)).collect();
            close(&found, &expected, 3e-7, &format!("{stored:?}, {count} rows of {width}"));
        }
    }
}

#[test]
fn activations_of_a_product_are_all_reached() {
    for gpu in gpus() {
        for activation in ACTIVATIONS {
            let x: Vec<f32> = (-30..30i8).map(|x| f32::from(x) * 0.5).collect();
            let one = Weight::new(gpu, Stored::F32, 1, &[&1.0f32.to_le_bytes()], Precision::AsStored).expect("memory");
            let mut recorder = gpu.record();
            let (x_there, to) = (recorder.upload_f32(&x).expect("there is memory"), room(gpu, x.len()));
            let finish = Finish { activation: Some(activation), ..Finish::default() };
            recorder.product(&x_there, x.len(), &one, &finish, &to);
            let found = read(recorder, &to, x.len());
            let expected: Vec<f64> = x.iter().map(|x| activate(activation, f64::from(*x))).collect();
            close(&found, &expected, 1e-6, &format!("{activation:?}"));
        }
    }
}

/// Opens each adapter such that kernels see little of a buffer at once.
pub(crate) fn short_sighted(largest_binding: u64) -> Vec<Gpu> {
    let open = move |adapter: &Adapter| {
        let capabilities = Capabilities { largest_binding, ..adapter.capabilities };
        Gpu::open_with(adapter, capabilities).expect("an adapter opens")
    };
    adapters().iter().map(open).collect()
}

#[test]
fn weights_larger_than_a_kernel_sees_are_cut_up() {
    for gpu in &short_sighted(1 << 16) {
        let mut random = Random::new(6);
        // Of 99 rows each, and of 63.
        for (stored, inputs) in [(Stored::F32, 161), (Stored::Blocks(BlockType::Q8_0), 960)] {
            for rows in [1, 10, 17] {
                check(gpu, &mut random, &Case { rows, inputs, outputs: 130, stored });
            }
        }
        let (rows, width) = (130, 161);
        let table = matrix(&mut random, Stored::F32, rows, width);
        let there = Weight::new(gpu, Stored::F32, width, &[&table.bytes], Precision::AsStored).expect("memory");
        let ids: Vec<u32> = (0..20).map(|_| u32::try_from(random.below(rows)).expect("small")).collect();
        let mut recorder = gpu.record();
        let (list, to) = (recorder.upload_u32(&ids).expect("there is memory"), room(gpu, ids.len() * width));
        recorder.look_up(&there, &list, ids.len(), false, &to);
        let expected: Vec<f64> =
            ids.iter().flat_map(|id| table.numbers[*id as usize * width..][..width].to_vec()).collect();
        close(&read(recorder, &to, ids.len() * width), &expected, 0.0, "rows of several parts");
    }
}
