//! DistilBERT (<https://arxiv.org/abs/1910.01108>), with the weight names and defaults of transformers'
//! `modeling_distilbert.py`: BERT without token types and pooler.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm};
use crate::heads::{Heads, Vocabulary};

/// DistilBERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "distilbert",
    model_types: &["distilbert"],
    base_prefix: "distilbert",
    heads: &Head::OF_ENCODERS,
    build,
};

const LAYER: PostNorm = PostNorm {
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attended: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    norm: "output_layer_norm",
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "vocab_transform",
    norm: "vocab_layer_norm",
    decoder: &["vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"],
    bias: &["vocab_projector.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = EncoderConfig {
        layers: config.layers_or("n_layers", 6)?,
        heads: config.size_or("n_heads", 12)?,
        activation: config.activation_or("activation", Activation::Gelu)?,
        epsilon: 1e-12,
        max_positions: config.size_or("max_position_embeddings", 512)?,
    };
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        let prefix = format!("distilbert.transformer.layer.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
        x = graph.layer(index, |graph| LAYER.layer(graph, &prefix, &config, &x, attend));
    }
    let heads = Heads {
        first: ("pre_classifier", Activation::Relu, "classifier"),
        vocabulary: VOCABULARY,
        activation: config.activation,
        epsilon: config.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words + positions, normalised: `[n, dim]`.
fn embeddings(graph: &Builder, config: &EncoderConfig) -> Value {
    let words = graph.embedding("distilbert.embeddings.word_embeddings").rows(&graph.token_ids());
    let positions = graph.embedding("distilbert.embeddings.position_embeddings").rows(&graph.positions(0));
    graph.norm("distilbert.embeddings.LayerNorm", config.epsilon).forward(&(&words + &positions))
}
