//! Qwen3 (<https://arxiv.org/abs/2505.09388>): Llama with norms over the queries and keys of each head, with the names and
//! defaults of transformers' `modeling_qwen3.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, Defaults, HEADS, window, windows};

/// Qwen3 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "qwen3", model_types: &["qwen3"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::with_defaults(config, &Defaults { head_size: Some(128), ..Defaults::LLAMA })?;
    let window = if config.flag_or("use_sliding_window", false)? { window(config, Some(4096))? } else { None };
    let first = config.token_or("max_window_layers", 28)?;
    let windows = windows(config, decoder.layers, window, |layer| layer >= first)?;
    let bias = config.flag_or("attention_bias", false)?;
    Decoder { windows, query_key_norm: true, query_key_value_bias: bias, output_bias: bias, ..decoder }
        .build(graph, head);
    Ok(())
}
