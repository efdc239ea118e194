//! GFLOP/s of products, by shape, type of the weights and number of threads; also GB/s of weights, where there is one row:
//! `cargo run --release -p runtime-kernels --example products [TYPE...] [THREADS...]`

use std::time::Instant;

use runtime_kernels::{Activation, BlockType, Finish, Packed, Precision, Product, Quantized, Team};

/// Inputs and outputs of the layers of MiniLM-L6, and of a square one.
const SHAPES: [(usize, usize); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];
const ROWS: [usize; 5] = [1, 16, 128, 256, 1024];

/// Those of SmolLM2-135M; the last is one that no cache holds. Types with blocks of 256 have the nearest sizes.
const BLOCK_SHAPES: [(usize, usize); 5] = [(576, 576), (576, 960), (576, 1536), (1536, 576), (2048, 65536)];
const BLOCK_ROWS: [usize; 4] = [1, 4, 16, 512];

/// How weights are held.
#[derive(Clone, Copy)]
enum Type {
    Plain(Precision),
    Blocks(BlockType),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut threads, mut names) = (Vec::new(), Vec::new());
    for argument in &arguments {
        match argument.parse::<usize>() {
            Ok(count) => threads.push(count),
            Err(_) => names.push(argument.as_str()),
        }
    }
    if threads.is_empty() {
        threads = vec![1, rayon::current_num_threads()];
    }
    let plain = [("f32", Precision::F32), ("bf16", Precision::Bf16), ("int8", Precision::Int8)];
    let plain = plain.map(|(name, precision)| (name, Type::Plain(precision)));
    let blocks = BlockType::ALL.map(|kind| (kind.name(), Type::Blocks(kind)));
    println!("{:>8} {:>7} {:>6} {:>6} {:>6} {:>9} {:>6}", "weights", "threads", "rows", "in", "out", "GFLOP/s", "GB/s");
    for (name, kind) in plain.into_iter().chain(blocks) {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let (shapes, rows) = match kind {
            Type::Plain(_) => (&SHAPES[..], &ROWS[..]),
            Type::Blocks(_) => (&BLOCK_SHAPES[..], &BLOCK_ROWS[..]),
        };
        for (inputs, outputs) in shapes {
            let inputs = if let Type::Blocks(kind) = kind { inputs.next_multiple_of(kind.elements()) } else { *inputs };
            let (weight, bytes) = weight(kind, inputs, *outputs);
            for threads in &threads {
                for rows in rows.iter().filter(|rows| **rows * inputs * outputs < 1 << 31) {
                    let (speed, seconds) = measure(*threads, &weight, *rows);
                    let streamed = if *rows == 1 { bytes / seconds / 1e9 } else { 0.0 };
                    println!("{name:>8} {threads:>7} {rows:>6} {inputs:>6} {outputs:>6} {speed:>9.1} {streamed:>6.1}");
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect()
}

/// A weight, and its bytes where it is in blocks.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn weight(kind: Type, inputs: usize, outputs: usize) -> (Packed, f64) {
    match kind {
        Type::Plain(precision) => (Packed::new(precision, &numbers(inputs * outputs), inputs), 0.0),
        Type::Blocks(kind) => {
            // Bytes that are small numbers wherever they are halves or singles.
            let bytes: Vec<u8> = (0..61).cycle().take(inputs * outputs / kind.elements() * kind.bytes()).collect();
            (Packed::of_blocks(kind, inputs, &[&bytes]), bytes.len() as f64)
        }
    }
}

/// GFLOP/s, and seconds.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(threads: usize, weight: &Packed, rows: usize) -> (f64, f64) {
    let (inputs, outputs) = (weight.inputs(), weight.outputs());
    let (x, bias) = (numbers(rows * inputs), numbers(outputs));
    let mut to = vec![0.0; rows * outputs];
    let activation = (outputs == 1536).then_some(Activation::Gelu);
    let finish = Finish { bias: Some(&bias), activation, ..Finish::default() };
    let product = Product { x: &x, weight, finish };
    let operations = 2.0 * (rows * inputs * outputs) as f64;
    // Short rounds, of which some are not disturbed by whatever else the machine does.
    let repeats = (50_000_000 / (rows * inputs * outputs)).clamp(1, 400);
    let rounds = (4_000_000_000 / (repeats * rows * inputs * outputs)).clamp(5, 80);
    let mut quantized = Quantized::new();
    Team::of(threads, |team| {
        let mut best = f64::MAX;
        product.run(team, &mut quantized, &mut to);
        for _ in 0..rounds {
            let start = Instant::now();
            for _ in 0..repeats {
                product.run(team, &mut quantized, &mut to);
            }
            best = best.min(start.elapsed().as_secs_f64() / repeats as f64);
        }
        (operations / best / 1e9, best)
    })
}
