//! The encoder of BART (<https://arxiv.org/abs/1910.13461>), with the weight names and defaults of transformers'
//! `modeling_bart.py`.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm};

/// BART's encoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "bart", model_types: &["bart"], base_prefix: "model", heads: &[Head::Base], build };

/// Rows before the first position in the table, of which BART has no use.
const FIRST_POSITION: u32 = 2;

const LAYER: PostNorm = PostNorm {
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    attended: "self_attn.out_proj",
    attention_norm: "self_attn_layer_norm",
    up: "fc1",
    down: "fc2",
    norm: "final_layer_norm",
};

fn build(graph: &Builder, config: &Config, _: Head) -> Result<(), Refusal> {
    let scaled = config.flag_or("scale_embedding", false)?;
    let config = EncoderConfig {
        layers: config.layers_or("encoder_layers", 12)?,
        heads: config.size_or("encoder_attention_heads", 16)?,
        activation: config.activation_or("activation_function", Activation::Gelu)?,
        epsilon: 1e-5,
        max_positions: config.size_or("max_position_embeddings", 1024)?,
    };
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config, scaled);
    for index in 0..config.layers {
        let prefix = format!("model.encoder.layers.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
        x = graph.layer(index, |graph| LAYER.layer(graph, &prefix, &config, &x, attend));
    }
    graph.output("hidden_states", &x);
    Ok(())
}

/// Words + positions, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig, scaled: bool) -> Value {
    let table = graph.first_tensor(&["model.encoder.embed_tokens.weight", "model.shared.weight"]);
    let words = table.rows(&graph.token_ids());
    let words = match words.shape().width() {
        Some(width) if scaled => words.scale(f64::from(width).sqrt()),
        _ => words,
    };
    let positions = graph.embedding("model.encoder.embed_positions").rows(&graph.positions(FIRST_POSITION));
    graph.norm("model.encoder.layernorm_embedding", config.epsilon).forward(&(&words + &positions))
}
