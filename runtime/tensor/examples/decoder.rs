//! Times a decoder of the shape of a Llama with any weights, on the processor or a GPU:
//! `cargo run --release -p runtime-tensor --example decoder -- [cpu|GPU NUMBER|cuda:N] [135M|1B|3B|8B] [f32|bf16|q8_0|q4_0|q4_k]`
//!
//! A prompt of 512 tokens, then the next tokens of 1, 8 and 32 sequences behind prompts of 128. Beside tokens per second
//! stand the bytes of weights that are read, to be set against what the memory does (`kernels` of `runtime-gpu`).

mod support;

use std::error::Error;
use std::time::Instant;

use runtime_graph::{Builder, Catalog, Config, DType, Head};
use runtime_tensor::{Batch, BlockType, Cache, Cached, Plan, Precision, StoredTensor, StoredType, Weights, compile};
use serde_json::json;

/// Layers, hidden size, inner size, heads, key and value heads, vocabulary.
const SHAPES: [(&str, [u32; 6]); 4] = [
    ("135M", [30, 576, 1536, 9, 3, 49152]),
    ("1B", [16, 2048, 8192, 32, 8, 128_256]),
    ("3B", [28, 3072, 8192, 24, 8, 128_256]),
    ("8B", [32, 4096, 14336, 32, 8, 128_256]),
];
const TYPES: [(&str, StoredType); 5] = [
    ("f32", StoredType::Plain(DType::F32)),
    ("bf16", StoredType::Plain(DType::BF16)),
    ("q8_0", StoredType::Blocks(BlockType::Q8_0)),
    ("q4_0", StoredType::Blocks(BlockType::Q4_0)),
    ("q4_k", StoredType::Blocks(BlockType::Q4_K)),
];
const PROMPT: usize = 512;
const BEHIND: usize = 128;

/// Zeros of the right shapes: no kernel takes another time for other numbers.
struct Zeros {
    shapes: Vec<(String, Vec<u32>)>,
    stored: StoredType,
}

impl Zeros {
    fn new([layers, hidden, inner, heads, key_value_heads, vocabulary]: [u32; 6], stored: StoredType) -> Self {
        let keys = hidden / heads * key_value_heads;
        let mut shapes = vec![
            ("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        for layer in 0..layers {
            let mut add = |name: &str, shape: &[u32]| {
                shapes.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
            };
            add("self_attn.q_proj", &[hidden, hidden]);
            add("self_attn.k_proj", &[keys, hidden]);
            add("self_attn.v_proj", &[keys, hidden]);
            add("self_attn.o_proj", &[hidden, hidden]);
            add("mlp.gate_proj", &[inner, hidden]);
            add("mlp.up_proj", &[inner, hidden]);
            add("mlp.down_proj", &[hidden, inner]);
            add("input_layernorm", &[hidden]);
            add("post_attention_layernorm", &[hidden]);
        }
        Self { shapes, stored }
    }

    fn find(&self, name: &str) -> Result<(&[u32], StoredType), Box<dyn Error + Send + Sync>> {
        let (_, shape) = self.shapes.iter().find(|(known, _)| known == name).ok_or("no such tensor")?;
        Ok((shape, if shape.len() == 1 { DType::F32.into() } else { self.stored }))
    }

    fn bytes(&self, name: &str) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let (shape, stored) = self.find(name)?;
        let count: usize = shape.iter().map(|size| *size as usize).product();
        Ok(match stored {
            StoredType::Plain(dtype) => count * dtype.size(),
            StoredType::Blocks(kind) => count / kind.elements() * kind.bytes(),
        })
    }

    /// Bytes that a token reads: all but the table, unless it is the output too.
    fn total(&self) -> usize {
        self.shapes.iter().filter_map(|(name, _)| self.bytes(name).ok()).sum()
    }
}

impl Weights for Zeros {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn Error + Send + Sync>> {
        let (shape, dtype) = self.find(name)?;
        let shape = shape.iter().map(|size| *size as usize).collect();
        Ok(StoredTensor { dtype, shape, bytes: vec![0; self.bytes(name)?].into() })
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Box<dyn Error + Send + Sync>> {
        Ok(self.find(name)?.1)
    }
}

/// Adds tokens to sequences, whose next token's scores are asked for; the seconds that it took.
fn step(plan: &dyn Plan, cache: &mut Cache, sequences: &mut [Cached], tokens: usize) -> Result<f64, Box<dyn Error>> {
    let mut batch = Batch::new();
    for cached in sequences.iter_mut() {
        cache.reserve(cached, tokens)?;
        batch.push_after(cached, &vec![1; tokens]);
        batch.ask_row(u32::try_from(batch.tokens() - 1)?);
    }
    let start = Instant::now();
    plan.run_after(&batch, cache)?;
    let seconds = start.elapsed().as_secs_f64();
    sequences.iter_mut().for_each(|cached| cached.advance(tokens));
    Ok(seconds)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (device, size) = (arguments.next(), arguments.next().unwrap_or_else(|| "135M".to_owned()));
    let stored = arguments.next().unwrap_or_else(|| "bf16".to_owned());
    let device = support::device(device.as_deref())?;
    let (_, shape) = SHAPES.into_iter().find(|(name, _)| *name == size).ok_or("no such size")?;
    let (_, dtype) = TYPES.into_iter().find(|(name, _)| *name == stored).ok_or("no such type")?;
    let weights = Zeros::new(shape, dtype);
    let [layers, hidden, inner, heads, key_value_heads, vocabulary] = shape;
    let config = json!({
        "model_type": "llama", "num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": inner,
        "num_attention_heads": heads, "num_key_value_heads": key_value_heads, "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "max_position_embeddings": 8192,
        "tie_word_embeddings": true,
    });
    let catalog = weights.shapes.iter().map(|(name, shape)| (name.clone(), shape.clone(), DType::F32));
    let (builder, recording) = Builder::native("llama", Catalog::new(catalog, "model"));
    let architecture = runtime_architectures::find("llama").ok_or("llama is built in")?;
    (architecture.build)(&builder, &config.to_string().parse::<Config>()?, Head::CausalLm)?;
    let graph = recording.finish()?;
    let start = Instant::now();
    let plan = compile(&graph, &weights, device, Precision::F32)?;
    let bytes = weights.total() as f64;
    println!("{size} {stored}: {:.2} GB of weights, compiled in {:.1} s", bytes / 1e9, start.elapsed().as_secs_f64());
    let mut cache = plan.cache(32 * (PROMPT / runtime_tensor::BLOCK))?;
    let prompt = |plan: &dyn Plan, cache: &mut Cache| step(plan, cache, &mut [Cached::new()], PROMPT);
    prompt(&*plan, &mut cache)?;
    let times = (0..5).map(|_| prompt(&*plan, &mut cache)).collect::<Result<Vec<_>, _>>()?;
    let seconds = median(times);
    let flops = 2.0 * bytes / dtype_bytes(dtype) * PROMPT as f64 / seconds / 1e12;
    println!("prompt of {PROMPT}: {:.0} tokens/s, {flops:.2} TFLOP/s", PROMPT as f64 / seconds);
    for count in [1, 8, 32] {
        let mut sequences = vec![Cached::new(); count];
        step(&*plan, &mut cache, &mut sequences, BEHIND)?;
        step(&*plan, &mut cache, &mut sequences, 1)?;
        let times = (0..15).map(|_| step(&*plan, &mut cache, &mut sequences, 1)).collect::<Result<Vec<_>, _>>()?;
        let seconds = median(times);
        let rate = bytes / seconds / 1e9;
        println!("next of {count}: {:.1} tokens/s, {rate:.1} GB/s of weights", count as f64 / seconds);
    }
    Ok(())
}

/// Bytes of a number.
#[expect(clippy::cast_precision_loss, reason = "a few bytes")]
fn dtype_bytes(stored: StoredType) -> f64 {
    match stored {
        StoredType::Plain(dtype) => dtype.size() as f64,
        StoredType::Blocks(kind) => kind.bytes() as f64 / kind.elements() as f64,
    }
}
