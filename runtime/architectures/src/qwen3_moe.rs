//! Qwen3 with experts (Qwen3-30B-A3B, Qwen3-235B-A22B), with the names and defaults of transformers'
//! `modeling_qwen3_moe.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, Defaults, HEADS, window};
use crate::experts::Experts;

/// Qwen3 decoders with experts.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "qwen3_moe", model_types: &["qwen3_moe"], base_prefix: "model", heads: &HEADS, build };

const DEFAULTS: Defaults =
    Defaults { layers: 24, hidden: 2048, heads: 32, key_value_heads: Some(4), positions: 32_768, ..Defaults::LLAMA };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::with_defaults(config, &DEFAULTS)?;
    let window = if config.flag_or("use_sliding_window", false)? { window(config, Some(4096))? } else { None };
    let bias = config.flag_or("attention_bias", false)?;
    Decoder {
        // All layers have the window, or none.
        windows: vec![window; decoder.layers as usize],
        query_key_norm: true,
        query_key_value_bias: bias,
        output_bias: bias,
        experts: Some(Experts::of_qwen(config, decoder.layers, decoder.activation, 128, 8)?),
        ..decoder
    }
    .build(graph, head);
    Ok(())
}
