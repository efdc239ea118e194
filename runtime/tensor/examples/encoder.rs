//! Times an encoder of the shape of MiniLM-L6 with random weights, on the processor or a GPU:
//! `cargo run --release -p runtime-tensor --example encoder -- [cpu|GPU NUMBER|cuda:N] [f32|bf16|int8] [BATCHxTOKENS...] [mixed]`
//!
//! The number of threads is that of the rayon pool (`RAYON_NUM_THREADS`).

mod support;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use runtime_graph::{Activation, AttentionOptions, Builder, Catalog, DType, Value};
use runtime_tensor::{Batch, Device, Plan, Precision, StoredTensor, StoredType, Weights, compile};

const LAYERS: u32 = 6;
const HIDDEN: u32 = 384;
const INNER: u32 = 1536;
const VOCABULARY: u32 = 30522;

/// Any numbers of the right shape.
struct Random;

fn shapes() -> Vec<(String, Vec<u32>)> {
    let mut shapes = vec![
        ("words.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("positions.weight".to_owned(), vec![512, HIDDEN]),
        ("types.weight".to_owned(), vec![2, HIDDEN]),
        ("norm.weight".to_owned(), vec![HIDDEN]),
        ("norm.bias".to_owned(), vec![HIDDEN]),
    ];
    let linears = [
        ("q", HIDDEN, HIDDEN),
        ("k", HIDDEN, HIDDEN),
        ("v", HIDDEN, HIDDEN),
        ("o", HIDDEN, HIDDEN),
        ("up", INNER, HIDDEN),
        ("down", HIDDEN, INNER),
    ];
    for layer in 0..LAYERS {
        for (name, outputs, inputs) in linears {
            shapes.push((format!("{layer}.{name}.weight"), vec![outputs, inputs]));
            shapes.push((format!("{layer}.{name}.bias"), vec![outputs]));
        }
    }
    shapes
}

impl Weights for Random {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn Error + Send + Sync>> {
        let shapes = shapes();
        let (_, shape) = shapes.iter().find(|(known, _)| known == name).ok_or("no such tensor")?;
        let shape: Vec<usize> = shape.iter().map(|size| *size as usize).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let number = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (f32::from(u16::try_from(state >> 48).unwrap_or(0)) / 65536.0 - 0.5) * 0.1
        };
        let bytes = (0..shape.iter().product()).map(number).flat_map(f32::to_le_bytes).collect::<Vec<u8>>().into();
        Ok(StoredTensor { dtype: DType::F32.into(), shape, bytes })
    }

    fn stored_type(&self, _: &str) -> Result<StoredType, Box<dyn Error + Send + Sync>> {
        Ok(DType::F32.into())
    }
}

fn layer(graph: &Builder, layer: u32, x: &Value) -> Value {
    let linear = |name: &str, x: &Value| graph.linear(&format!("{layer}.{name}")).forward(x);
    let norm = |x: &Value| graph.norm("norm", 1e-12).forward(x);
    let attended = linear("q", x).attention(&linear("k", x), &linear("v", x), AttentionOptions::bidirectional(12));
    let x = norm(&(&linear("o", &attended) + x));
    norm(&(&linear("down", &linear("up", &x).activation(Activation::Gelu)) + &x))
}

fn plan(device: Device, precision: Precision) -> Result<Arc<dyn Plan>, Box<dyn Error>> {
    let catalog = Catalog::new(shapes().into_iter().map(|(name, shape)| (name, shape, DType::F32)), "");
    let (builder, recording) = Builder::native("encoder", catalog);
    let words = builder.embedding("words").rows(&builder.token_ids());
    let types = builder.embedding("types").rows(&builder.token_types());
    let positions = builder.embedding("positions").rows(&builder.positions(0));
    let mut x = builder.norm("norm", 1e-12).forward(&(&(&words + &types) + &positions));
    for index in 0..LAYERS {
        x = layer(&builder, index, &x);
    }
    builder.output("hidden_states", &x);
    Ok(compile(&recording.finish()?, &Random, device, precision)?)
}

/// Sequences of these lengths.
fn batch(lengths: &[u32]) -> Batch {
    let mut batch = Batch::new();
    for length in lengths {
        let ids: Vec<u32> = (0..*length).map(|token| (token * 7919 + length) % VOCABULARY).collect();
        batch.push(&ids, &[]);
    }
    batch
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_device = |name: &String| name == "cpu" || name.starts_with("cuda:") || name.parse::<usize>().is_ok();
    let device = arguments.first().filter(|name| is_device(name)).cloned();
    arguments.drain(..usize::from(device.is_some()));
    let precision = match arguments.first().map(String::as_str) {
        Some("bf16") => Precision::Bf16,
        Some("int8") => Precision::Int8,
        _ => Precision::F32,
    };
    arguments.retain(|argument| !["f32", "bf16", "int8"].contains(&argument.as_str()));
    if arguments.is_empty() {
        arguments = ["1x16", "1x128", "1x256", "32x16", "32x128", "32x256", "mixed"].map(str::to_owned).to_vec();
    }
    let plan = plan(support::device(device.as_deref())?, precision)?;
    for shape in &arguments {
        let lengths = match shape.split_once('x').filter(|_| shape != "mixed") {
            Some((count, tokens)) => {
                vec![tokens.parse()?; count.parse()?]
            }
            None => (0..32).map(|index| 8 + (index * 37) % 249).collect(),
        };
        let batch = batch(&lengths);
        plan.run(&batch)?;
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || begin.elapsed().as_secs_f64() < 0.8 {
            let start = Instant::now();
            plan.run(&batch)?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_unstable_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let speed = |seconds: f64| batch.tokens() as f64 / seconds;
        let (middle, best) = (speed(median), speed(times[0]));
        let texts = lengths.len() as f64 / median;
        println!("{shape:>7}: {:8.2} ms {middle:7.0} tokens/s, at best {best:7.0}; {texts:.0} texts/s", median * 1e3);
    }
    Ok(())
}
