//! This program's side of `benches/encoders.py`: runs a model's plan on token ids, on request.
//!
//! `bench-worker FOLDER PRECISION THREADS` reads one JSON value per line from stdin: a list of token-id lists makes them
//! the workload, `null` runs it once. Each line is answered with the seconds that it took. Sequences are packed in
//! their order into batches of at most 1,024 tokens, as the scheduler packs what callers ask of it.

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::time::Instant;

use runtime_graph::Head;
use runtime_models::{Model, ModelFolder};
use runtime_tensor::{Batch, Device, Plan, Precision, compile};
use serde_json::Value;

/// The scheduler's budget.
const TOKENS: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, precision, threads] = &arguments[..] else {
        return Err("usage: bench-worker FOLDER f32|bf16|int8 THREADS".into());
    };
    let precision = match precision.as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        "int8" => Precision::Int8,
        other => return Err(format!("`{other}` is none of f32, bf16 and int8").into()),
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;

    let folder = ModelFolder::new(folder);
    let config = folder.config()?;
    let graph = Model::graph(&folder, &config, Model::built_in(&folder, &config)?, Head::Base)?;
    let plan = compile(&graph, &folder.checkpoint()?, Device::Cpu, precision)?;

    let mut batches = Vec::new();
    for line in stdin().lines() {
        let start = Instant::now();
        match serde_json::from_str(&line?)? {
            Value::Null => run(&*plan, &batches)?,
            workload => batches = pack(&serde_json::from_value::<Vec<Vec<u32>>>(workload)?),
        }
        writeln!(stdout(), "{}", start.elapsed().as_secs_f64())?;
        stdout().flush()?;
    }
    Ok(())
}

fn run(plan: &dyn Plan, batches: &[Batch]) -> Result<(), runtime_tensor::Error> {
    batches.iter().try_for_each(|batch| {
        std::hint::black_box(plan.run(batch)?);
        Ok(())
    })
}

fn pack(sequences: &[Vec<u32>]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for ids in sequences {
        match batches.last_mut().filter(|batch| batch.tokens() + ids.len() <= TOKENS) {
            Some(batch) => batch.push(ids, &[]),
            None => {
                let mut batch = Batch::new();
                batch.push(ids, &[]);
                batches.push(batch);
            }
        }
    }
    batches
}
