//! GFLOP/s of products, by shape, precision and number of threads:
//! `cargo run --release -p runtime-kernels --example products [THREADS...]`

use std::time::Instant;

use runtime_kernels::{Activation, Finish, Packed, Precision, Product, Quantized, Team};

/// Inputs and outputs of the layers of MiniLM-L6, and of a square one.
const SHAPES: [(usize, usize); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];
const ROWS: [usize; 5] = [1, 16, 128, 256, 1024];

fn main() {
    let mut threads: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if threads.is_empty() {
        threads = vec![1, rayon::current_num_threads()];
    }
    println!("{:>8} {:>7} {:>6} {:>6} {:>6} {:>9}", "weights", "threads", "rows", "in", "out", "GFLOP/s");
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16), ("int8", Precision::Int8)] {
        for threads in &threads {
            for (inputs, outputs) in SHAPES {
                for rows in ROWS {
                    let speed = measure(*threads, precision, rows, inputs, outputs);
                    println!("{name:>8} {threads:>7} {rows:>6} {inputs:>6} {outputs:>6} {speed:>9.1}");
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn measure(threads: usize, precision: Precision, rows: usize, inputs: usize, outputs: usize) -> f64 {
    let numbers = |count: usize| (0..count).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect::<Vec<f32>>();
    let weight = Packed::new(precision, &numbers(inputs * outputs), inputs);
    let (x, bias) = (numbers(rows * inputs), numbers(outputs));
    let mut to = vec![0.0; rows * outputs];
    let activation = (outputs == 1536).then_some(Activation::Gelu);
    let finish = Finish { bias: Some(&bias), activation, ..Finish::default() };
    let product = Product { x: &x, weight: &weight, finish };
    let operations = 2.0 * (rows * inputs * outputs) as f64;
    // Short rounds, of which some are not disturbed by whatever else the machine does.
    let repeats = (50_000_000 / (rows * inputs * outputs)).clamp(1, 400);
    let mut quantized = Quantized::new();
    Team::of(threads, |team| {
        let mut best = f64::MAX;
        product.run(team, &mut quantized, &mut to);
        for _ in 0..80 {
            let start = Instant::now();
            for _ in 0..repeats {
                product.run(team, &mut quantized, &mut to);
            }
            best = best.min(start.elapsed().as_secs_f64() / repeats as f64);
        }
        operations / best / 1e9
    })
}
