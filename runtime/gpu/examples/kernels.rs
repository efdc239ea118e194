//! Times kernels by themselves: products with few and many rows for each kind of weight, attention, and a copy, which says
//! what the memory can do.
//!
//! ```sh
//! cargo run --release -p runtime-gpu --example kernels [ADAPTER NUMBER]
//! ```

#![expect(clippy::cast_precision_loss, reason = "figures of a few digits")]

use std::time::Instant;

use runtime_gpu::{
    Attention, BLOCK, CacheType, Capabilities, Elementwise, Error, Finish, Gpu, Kept, Precision, Read, Recorder,
    Sequence, Stored, Weight, adapters,
};
use runtime_kernels::BlockType;

/// Seconds that are spent on each figure.
const SECONDS: f64 = 0.5;

fn main() -> Result<(), Error> {
    let number = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
    let adapters = adapters();
    let adapter = adapters.get(number).ok_or(Error::NoAdapter)?;
    println!("{} ({}, {:?}, {})", adapter.name, adapter.backend, adapter.kind, adapter.driver);
    println!("{:?}", adapter.capabilities);
    let gpu = Gpu::open_with(adapter, adapter.capabilities)?;
    // A software adapter gets sizes of which it computes some in that time.
    let small = adapter.kind == runtime_gpu::Kind::Cpu;
    let side = if small { 1024 } else { 4096 };

    let count = side * side;
    let (from, to) = (gpu.scratch(4 * count)?, gpu.scratch(4 * count)?);
    let seconds = time(&gpu, |recorder| recorder.elementwise(&from, count, &Elementwise::default(), &to))?;
    println!("copy of {} MB: {:.1} GB/s", (4 * count) >> 20, 8.0 * count as f64 / seconds / 1e9);

    // What a small call costs the processor, and then the GPU.
    let (calls, start) = (1000, Instant::now());
    let mut recorder = gpu.record();
    (0..calls).for_each(|_| recorder.elementwise(&from, 4, &Elementwise::default(), &to));
    let recorded = start.elapsed().as_secs_f64();
    recorder.finish(&[Read::new(&to, 0, 1)])?;
    let run = start.elapsed().as_secs_f64() - recorded;
    let each = |seconds: f64| 1e6 * seconds / f64::from(calls);
    println!("a small call: {:.2} us to record, {:.2} us to run", each(recorded), each(run));

    let kinds = [
        Stored::F32,
        Stored::F16,
        Stored::Bf16,
        Stored::Blocks(BlockType::Q8_0),
        Stored::Blocks(BlockType::Q4_0),
        Stored::Blocks(BlockType::Q4_K),
        Stored::Blocks(BlockType::Q6_K),
    ];
    // The same without cooperative matrices, where there are some.
    let without = Capabilities { cooperative: None, ..adapter.capabilities };
    let without = adapter.capabilities.cooperative.map(|_| Gpu::open_with(adapter, without)).transpose()?;
    for stored in kinds {
        let bytes = match stored {
            Stored::F32 => 4 * count,
            Stored::F16 | Stored::Bf16 => 2 * count,
            Stored::Blocks(kind) => count / kind.elements() * kind.bytes(),
        };
        let weight = Weight::new(&gpu, stored, side, &[&vec![0; bytes]], Precision::AsStored)?;
        for rows in [1, 4, 8, 16, 64, 512] {
            let (x, to) = (gpu.scratch(4 * rows * side)?, gpu.scratch(4 * rows * side)?);
            let seconds = time(&gpu, |recorder| recorder.product(&x, rows, &weight, &Finish::default(), &to))?;
            let flops = 2.0 * (rows * count) as f64 / seconds / 1e9;
            let read = weight.bytes() as f64 / seconds / 1e9;
            println!("{stored:?}, {rows} rows: {:.3} ms, {read:.1} GB/s of weights, {flops:.0} GFLOP/s", 1e3 * seconds);
        }
        if let Some(without) = &without {
            let weight = Weight::new(without, stored, side, &[&vec![0; bytes]], Precision::AsStored)?;
            for rows in [64, 512] {
                let (x, to) = (without.scratch(4 * rows * side)?, without.scratch(4 * rows * side)?);
                let seconds = time(without, |recorder| recorder.product(&x, rows, &weight, &Finish::default(), &to))?;
                let flops = 2.0 * (rows * count) as f64 / seconds / 1e9;
                println!(
                    "{stored:?}, {rows} rows, no cooperative matrices: {:.3} ms, {flops:.0} GFLOP/s",
                    1e3 * seconds
                );
            }
        }
    }

    let (heads, key_value_heads, head_size) = (32, 8, 64);
    let attention = Attention {
        heads,
        key_value_heads,
        head_size,
        causal: true,
        window: None,
        scale: 0.125,
        soft_cap: None,
        relative: None,
    };
    for (sequences, past, tokens) in [(1, 0, side / 4), (8, 0, 128), (1, 2048, 1), (16, 1024, 1), (1, side, 64)] {
        let each = (past + tokens).div_ceil(BLOCK);
        let blocks: Vec<u32> = (0..u32::try_from(sequences * each).unwrap_or(0)).collect();
        let kept = Kept::new(&gpu, blocks.len(), (key_value_heads, head_size), CacheType::F32)?;
        let list: Vec<Sequence<'_>> = blocks.chunks(each).map(|blocks| Sequence { tokens, past, blocks }).collect();
        let rows = sequences * tokens;
        let (q, to) = (gpu.scratch(4 * rows * heads * head_size)?, gpu.scratch(4 * rows * heads * head_size)?);
        let prepared = gpu.record().sequences(&list)?;
        let seconds = time(&gpu, |recorder| {
            recorder.attention_over_kept(&prepared, &kept, q.columns(heads * head_size), &attention, &to);
        })?;
        let read = (sequences * (past + tokens) * key_value_heads * head_size * 8) as f64 / seconds / 1e9;
        let pairs = sequences * tokens * (past + tokens.div_ceil(2)) * heads;
        let flops = 4.0 * (pairs * head_size) as f64 / seconds / 1e9;
        println!(
            "attention, {sequences} sequences, {past} kept and {tokens} new: {:.3} ms, {read:.1} GB/s, {flops:.0} GFLOP/s",
            1e3 * seconds
        );
    }
    Ok(())
}

/// Seconds of one call, of as many in a recording as take some time.
fn time(gpu: &Gpu, call: impl Fn(&mut Recorder)) -> Result<f64, Error> {
    let probe = gpu.upload(&[0; 16])?;
    let run = |count: usize| {
        let mut recorder = gpu.record();
        (0..count).for_each(|_| call(&mut recorder));
        let start = Instant::now();
        recorder.finish(&[Read::new(&probe, 0, 1)])?;
        Ok::<f64, Error>(start.elapsed().as_secs_f64())
    };
    run(1)?;
    let mut count = 1;
    loop {
        let seconds = run(count)?;
        if seconds > SECONDS / 4.0 || count > 10_000 {
            return Ok((0..2).map(|_| run(count)).collect::<Result<Vec<_>, _>>()?.into_iter().fold(seconds, f64::min)
                / count as f64);
        }
        count *= 2;
    }
}
