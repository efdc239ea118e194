//! Products by cooperative matrices, on adapters that have some (of the software ones, Mesa's from version 26 on), and that
//! nothing changes on the others. What they have in common with other products is tested with those.

use half::{bf16, f16};
use runtime_gpu::{Buffer, Capabilities, Finish, Gpu, Precision, Stored, Weight, adapters};
use runtime_kernels::BlockType;

use crate::product::{Case, check, matrix};
use crate::support::{Random, SIZES, gpus, read, room};

/// Those that have some; where there are none, that is said, or an error with `RUNTIME_NEED_COOPERATIVE=1`.
fn cooperative() -> impl Iterator<Item = &'static Gpu> {
    let with_some = || gpus().iter().filter(|gpu| gpu.capabilities().cooperative.is_some());
    if with_some().next().is_none() {
        let needed = std::env::var_os("RUNTIME_NEED_COOPERATIVE").is_some_and(|needed| needed == "1");
        assert!(!needed, "no adapter has cooperative matrices, and RUNTIME_NEED_COOPERATIVE=1 asks for some");
        eprintln!("skipped: no adapter has cooperative matrices");
    }
    with_some()
}

fn product(gpu: &Gpu, x: &[f32], weight: &Weight) -> Vec<f32> {
    let rows = x.len() / weight.inputs();
    let mut recorder = gpu.record();
    let x: Buffer = recorder.upload_f32(x).expect("there is memory");
    let to = room(gpu, rows * weight.outputs());
    recorder.product(&x, rows, weight, &Finish::default(), &to);
    read(recorder, &to, rows * weight.outputs())
}

fn weight(gpu: &Gpu, stored: Stored, inputs: usize, bytes: &[u8]) -> Weight {
    Weight::new(gpu, stored, inputs, &[bytes], Precision::AsStored).expect("there is memory")
}

#[test]
fn an_open_adapter_uses_what_it_says() {
    for adapter in &adapters() {
        let open = Gpu::open(adapter).expect("an adapter opens").capabilities();
        assert_eq!(open, adapter.used(), "{}", adapter.name);
        let open = Gpu::open_with(adapter, adapter.capabilities).expect("an adapter opens").capabilities();
        assert_eq!(open, adapter.capabilities, "{}", adapter.name);
        for without in [
            Capabilities { cooperative: None, ..adapter.capabilities },
            Capabilities { f16: false, ..adapter.capabilities },
            Capabilities { subgroups: None, ..adapter.capabilities },
        ] {
            let open = Gpu::open_with(adapter, without).expect("an adapter opens").capabilities().cooperative;
            assert_eq!(open, None, "{}", adapter.name);
        }
    }
}

#[test]
fn sizes_that_divide_by_nothing() {
    for gpu in cooperative() {
        let mut random = Random::new(31);
        for stored in [Stored::F16, Stored::Bf16] {
            for rows in [17, 33, 65, 128, 200] {
                let (inputs, outputs) = (random.of(&SIZES), random.of(&SIZES));
                check(gpu, &mut random, &Case { rows, inputs, outputs, stored });
            }
        }
        for kind in BlockType::ALL {
            let rows = random.of(&[17, 50, 141]);
            let (inputs, outputs) = (kind.elements() * (1 + random.below(5)), 1 + random.below(150));
            check(gpu, &mut random, &Case { rows, inputs, outputs, stored: Stored::Blocks(kind) });
        }
    }
}

/// Weights that halves hold give what single precision gives, and those in blocks what halves give; single precision itself
/// is left alone.
#[test]
fn each_kind_of_weight_has_the_precision_that_it_needs() {
    for adapter in &adapters() {
        if adapter.capabilities.cooperative.is_none() {
            continue;
        }
        let with = Gpu::open_with(adapter, adapter.capabilities).expect("an adapter opens");
        let without = Capabilities { cooperative: None, ..adapter.capabilities };
        let without = Gpu::open_with(adapter, without).expect("an adapter opens");
        let mut random = Random::new(32);
        let (rows, inputs, outputs) = (70, 512, 90);
        let x = random.numbers(rows * inputs);
        // The greatest difference, of the greatest sum of magnitudes.
        let mut differences = |stored| {
            let matrix = matrix(&mut random, stored, outputs, inputs);
            let [with, without] =
                [&with, &without].map(|gpu| product(gpu, &x, &weight(gpu, stored, inputs, &matrix.bytes)));
            let sums = matrix.numbers.chunks_exact(inputs).map(|row| row.iter().map(|weight| weight.abs()).sum());
            let largest = sums.fold(0.0, f64::max);
            let differences = with.iter().zip(&without).map(|(a, b)| f64::from((a - b).abs()));
            differences.fold(0.0, f64::max) / largest
        };
        assert!(differences(Stored::F32) == 0.0, "single precision");
        for stored in [Stored::F16, Stored::Bf16] {
            let off = differences(stored);
            assert!(off < 2e-6, "{stored:?} is off by {off}");
        }
        for kind in [BlockType::Q8_0, BlockType::Q4_K, BlockType::Q6_K] {
            let off = differences(Stored::Blocks(kind));
            assert!((1e-6..1e-3).contains(&off), "{kind:?} is off by {off}, which halves would not be");
        }
    }
}

/// Rows of activations from the least to the greatest magnitudes, and matrices of such.
#[test]
fn nothing_becomes_infinite_or_vanishes() {
    for gpu in cooperative() {
        let mut random = Random::new(33);
        let (inputs, outputs) = (100, 40);
        // Of each row; what is far below the greatest of a row counts for as little as it does in the sum.
        let magnitudes = [1e-32f32, 1e-30, 6e-8, 1.0, 32767.0, 65503.0, 65504.0, 65520.0, 1e6, 1e20, 1e33];
        let rows = 3 * magnitudes.len();
        let x: Vec<f32> = (0..rows)
            .flat_map(|row| {
                let numbers = random.numbers(inputs);
                numbers.into_iter().enumerate().map(move |(at, x)| {
                    let spread = if at % 7 == row % 7 { 1e-4 } else { 1.0 };
                    x * spread * magnitudes[row / 3]
                })
            })
            .collect();
        for (stored, greatest) in [
            (Stored::F16, 65504.0f32),
            (Stored::F16, 1e-5),
            (Stored::Bf16, 3e38),
            (Stored::Bf16, 1.0),
            (Stored::Bf16, 1e-30),
        ] {
            let numbers = random.numbers(inputs * outputs).into_iter().enumerate();
            let numbers = numbers.map(|(at, x)| if at == 5 { greatest } else { x * greatest });
            let (bytes, numbers): (Vec<[u8; 2]>, Vec<f64>) = numbers
                .map(|x| match stored {
                    Stored::F16 => (f16::from_f32(x).to_le_bytes(), f16::from_f32(x).to_f64()),
                    _ => (bf16::from_f32(x).to_le_bytes(), bf16::from_f32(x).to_f64()),
                })
                .unzip();
            let found = product(gpu, &x, &weight(gpu, stored, inputs, bytes.as_flattened()));
            for (row, x) in x.chunks_exact(inputs).enumerate() {
                for (output, weight) in numbers.chunks_exact(inputs).enumerate() {
                    let products = || weight.iter().zip(x).map(|(weight, x)| weight * f64::from(*x));
                    let (sum, magnitude): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
                    // Sums whose last digits single precision cannot hold are not asked for.
                    if !(1e-32..1e38).contains(&magnitude) {
                        continue;
                    }
                    let found = f64::from(found[row * outputs + output]);
                    let off = (found - sum).abs();
                    assert!(
                        off <= 4e-6 * magnitude,
                        "{stored:?} to {greatest}, row {row}, output {output}: {found} instead of {sum}"
                    );
                }
            }
        }
    }
}

/// Factors of blocks may bring their numbers beyond what a half holds.
#[test]
fn blocks_beyond_the_range_of_halves() {
    for gpu in cooperative() {
        let mut random = Random::new(34);
        let (rows, inputs, outputs) = (20, 64, 24);
        let x = random.numbers(rows * inputs);
        let mut bytes = random.bytes(inputs / 32 * outputs * BlockType::Q8_0.bytes());
        for block in bytes.chunks_exact_mut(BlockType::Q8_0.bytes()) {
            let scale = f16::from_f32(60000.0 * random.numbers(1)[0]);
            block[..2].copy_from_slice(&scale.to_le_bytes());
        }
        let mut numbers = vec![0.0; inputs * outputs];
        BlockType::Q8_0.dequantize(&bytes, &mut numbers);
        let found = product(gpu, &x, &weight(gpu, Stored::Blocks(BlockType::Q8_0), inputs, &bytes));
        for (at, found) in found.iter().enumerate() {
            let (row, output) = (at / outputs, at % outputs);
            let products = numbers[output * inputs..][..inputs]
                .iter()
                .zip(&x[row * inputs..])
                .map(|(weight, x)| f64::from(*weight) * f64::from(*x));
            let (sum, magnitude): (f64, f64) = (products.clone().sum(), products.map(f64::abs).sum());
            let off = (f64::from(*found) - sum).abs();
            assert!(off <= 2e-3 * magnitude, "row {row}, output {output}: {found} instead of {sum}");
        }
    }
}

/// What is not finite stays where it is.
#[test]
fn infinities_and_nan_reach_their_own_row_and_output_alone() {
    for gpu in cooperative() {
        let (rows, inputs, outputs) = (40, 70, 33);
        for stored in [Stored::F16, Stored::Bf16] {
            for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
                let mut x = vec![0.5f32; rows * inputs];
                x[7 * inputs + 66] = bad;
                let mut numbers = vec![1.0f32; outputs * inputs];
                numbers[30 * inputs + 2] = bad;
                let bytes: Vec<[u8; 2]> = numbers
                    .iter()
                    .map(|x| match stored {
                        Stored::F16 => f16::from_f32(*x).to_le_bytes(),
                        _ => bf16::from_f32(*x).to_le_bytes(),
                    })
                    .collect();
                let found = product(gpu, &x, &weight(gpu, stored, inputs, bytes.as_flattened()));
                for (at, found) in found.into_iter().enumerate() {
                    // Nothing says which of them: an infinite weight times what rounding left off, which is 0, is none.
                    let right =
                        if at / outputs == 7 || at % outputs == 30 { !found.is_finite() } else { found == 35.0 };
                    assert!(right, "{stored:?}, {bad}: {found} at {at}");
                }
            }
        }
    }
}
