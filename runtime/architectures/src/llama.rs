//! Llama 2 and 3 (<https://arxiv.org/abs/2307.09288>), SmolLM2 among others of its form, with the names and defaults of
//! transformers' `modeling_llama.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, HEADS};

/// Llama 2 and 3 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "llama", model_types: &["llama"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let bias = config.flag_or("attention_bias", false)?;
    Decoder {
        query_key_value_bias: bias,
        output_bias: bias,
        mlp_bias: config.flag_or("mlp_bias", false)?,
        ..Decoder::read(config)?
    }
    .build(graph, head);
    Ok(())
}
