//! Qwen2 and Qwen2.5 (<https://arxiv.org/abs/2407.10671>): Llama with biases, with the names and defaults of transformers'
//! `modeling_qwen2.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, HEADS, window, windows};

/// Qwen2 and Qwen2.5 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "qwen2", model_types: &["qwen2"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::read(config)?;
    let window = if config.flag_or("use_sliding_window", false)? { window(config, Some(4096))? } else { None };
    let first = config.token_or("max_window_layers", 28)?;
    let windows = windows(config, decoder.layers, window, |layer| layer >= first)?;
    Decoder { windows, query_key_value_bias: true, ..decoder }.build(graph, head);
    Ok(())
}
