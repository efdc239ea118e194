//! Qwen2 with experts, one of which all tokens share (Qwen1.5-MoE, Qwen2-57B-A14B), with the names and defaults of
//! transformers' `modeling_qwen2_moe.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, Defaults, HEADS, window, windows};
use crate::experts::Experts;

/// Qwen2 decoders with experts.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "qwen2_moe", model_types: &["qwen2_moe"], base_prefix: "model", heads: &HEADS, build };

const DEFAULTS: Defaults =
    Defaults { layers: 24, hidden: 2048, heads: 16, key_value_heads: Some(16), positions: 32_768, ..Defaults::LLAMA };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::with_defaults(config, &DEFAULTS)?;
    let window = if config.flag_or("use_sliding_window", false)? { window(config, Some(4096))? } else { None };
    // Every other one of the first layers, unlike Qwen2.
    let end = config.token_or("max_window_layers", 28)?;
    let windows = windows(config, decoder.layers, window, |layer| layer < end && layer % 2 == 0)?;
    let experts = Experts::of_qwen(config, decoder.layers, decoder.activation, 60, 4)?;
    Decoder {
        windows,
        query_key_value_bias: config.flag_or("qkv_bias", true)?,
        experts: Some(Experts { shared: true, ..experts }),
        ..decoder
    }
    .build(graph, head);
    Ok(())
}
