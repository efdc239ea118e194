//! Gemma 1 to 3 (<https://arxiv.org/abs/2403.08295>, <https://arxiv.org/abs/2408.00118>, <https://arxiv.org/abs/2503.19786>),
//! with the names and defaults of transformers' `modeling_gemma.py`, `modeling_gemma2.py` and `modeling_gemma3.py`.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Rotary};

use crate::decoder::{Decoder, Defaults, HEADS, window, windows};

/// Gemma decoders.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "gemma",
    model_types: &["gemma", "gemma2", "gemma3_text"],
    base_prefix: "model",
    heads: &HEADS,
    build,
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = match config.text_or("model_type", "gemma")? {
        "gemma2" => gemma2(config)?,
        "gemma3_text" => gemma3(config)?,
        _ => gemma(config, 10_000.0, Activation::GeluTanh)?,
    };
    decoder.build(graph, head);
    Ok(())
}

/// What all of them have: scaled embeddings, and 1 added to the weights of norms.
fn gemma(config: &Config, theta: f64, activation: Activation) -> Result<Decoder, Refusal> {
    let bias = config.flag_or("attention_bias", false)?;
    Ok(Decoder {
        activation,
        norm_offset: 1.0,
        embedding_scale: Some(f64::from(config.size_or("hidden_size", 2304)?).sqrt()),
        query_key_value_bias: bias,
        output_bias: bias,
        tied: config.flag_or("tie_word_embeddings", true)?,
        ..Decoder::with_defaults(config, &Defaults { head_size: Some(256), theta, ..Defaults::LLAMA })?
    })
}

/// Norms on both sides of each part, a window in every other layer, bounded scores.
fn gemma2(config: &Config) -> Result<Decoder, Refusal> {
    let activation = config.activation_or("hidden_activation", Activation::GeluTanh)?;
    let decoder = gemma(config, 10_000.0, activation)?;
    Ok(Decoder {
        windows: windows(config, decoder.layers, window(config, Some(4096))?, |layer| layer % 2 == 0)?,
        norms_after: true,
        scale: Some(config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5)),
        soft_cap: cap(config, "attn_logit_softcapping", Some(50.0))?,
        final_soft_cap: cap(config, "final_logit_softcapping", Some(30.0))?,
        ..decoder
    })
}

/// Norms over queries and keys, and a window with frequencies of its own in five of six layers.
fn gemma3(config: &Config) -> Result<Decoder, Refusal> {
    let activation = config.activation_or("hidden_activation", Activation::GeluTanh)?;
    let decoder = gemma(config, 1_000_000.0, activation)?;
    let pattern = config.size_or("sliding_window_pattern", 6)?;
    let local = config.get("rope_parameters").and_then(|all| all.get("sliding_attention")?.get("rope_theta")?.as_f64());
    let local = match local {
        Some(theta) => theta,
        None => config.number_or("rope_local_base_freq", 10_000.0)?,
    };
    Ok(Decoder {
        windows: windows(config, decoder.layers, window(config, Some(4096))?, |layer| (layer + 1) % pattern > 0)?,
        local_rotary: Some(Rotary::plain(decoder.head_size, decoder.head_size, local)),
        query_key_norm: true,
        norms_after: true,
        scale: Some(config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5)),
        soft_cap: cap(config, "attn_logit_softcapping", None)?,
        final_soft_cap: cap(config, "final_logit_softcapping", None)?,
        ..decoder
    })
}

/// A bound of scores; `null` is none.
fn cap(config: &Config, field: &str, default: Option<f64>) -> Result<Option<f64>, Refusal> {
    match config.get(field) {
        Some(_) => config.number_or(field, 0.0).map(Some),
        None => Ok(default.filter(|_| !config.has(field))),
    }
}
