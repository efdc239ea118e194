//! Gemma 2 (<https://arxiv.org/abs/2408.00118>), with the names and defaults of transformers' `modeling_gemma2.py`: norms on
//! both sides of each part, a window in every other layer, bounded scores.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, HEADS, windows};

/// Gemma 2 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "gemma2", model_types: &["gemma2"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::read(config, 10_000.0)?;
    let cap = |field: &str, default: f64| match config.get(field) {
        None if config.has(field) => Ok(None),
        _ => config.number_or(field, default).map(Some),
    };
    let window = Some(config.size_or("sliding_window", 4096)? - 1);
    Decoder {
        windows: windows(config, decoder.layers, window, |layer| layer % 2 == 0)?,
        activation: config.activation_or("hidden_activation", Activation::GeluTanh)?,
        norm_offset: 1.0,
        norms_after: true,
        scale: Some(config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5)),
        soft_cap: cap("attn_logit_softcapping", 50.0)?,
        final_soft_cap: cap("final_logit_softcapping", 30.0)?,
        embedding_scale: Some(f64::from(config.size_or("hidden_size", 2304)?).sqrt()),
        query_key_value_bias: config.flag_or("attention_bias", false)?,
        output_bias: config.flag_or("attention_bias", false)?,
        tied: config.flag_or("tie_word_embeddings", true)?,
        ..decoder
    }
    .build(graph, head);
    Ok(())
}
