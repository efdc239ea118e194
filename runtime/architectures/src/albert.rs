//! ALBERT (<https://arxiv.org/abs/1909.11942>), with the weight names and defaults of transformers'
//! `modeling_albert.py`: BERT's layers, shared among all or among groups, over narrower embeddings.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm, require_plain_encoder};
use crate::heads::{Heads, Vocabulary};

/// ALBERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "albert", model_types: &["albert"], base_prefix: "albert", heads: &Head::OF_ENCODERS, build };

const LAYER: PostNorm = PostNorm {
    query: "attention.query",
    key: "attention.key",
    value: "attention.value",
    attended: "attention.dense",
    attention_norm: "attention.LayerNorm",
    up: "ffn",
    down: "ffn_output",
    norm: "full_layer_layer_norm",
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "predictions.dense",
    norm: "predictions.LayerNorm",
    decoder: &["predictions.decoder.weight", "albert.embeddings.word_embeddings.weight"],
    bias: &["predictions.decoder.bias", "predictions.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    require_plain_encoder(config)?;
    let groups = config.layers_or("num_hidden_groups", 1)?;
    let inner = config.layers_or("inner_group_num", 1)?;
    let defaults = EncoderConfig { heads: 64, activation: Activation::GeluTanh, ..EncoderConfig::BERT };
    let config = defaults.read(config)?;
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        // Layers are dealt out to the groups in order.
        let group = u64::from(index) * u64::from(groups) / u64::from(config.layers);
        for part in 0..inner {
            let prefix = format!("albert.encoder.albert_layer_groups.{group}.albert_layers.{part}");
            let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
            x = graph.layer(index, |graph| LAYER.layer(graph, &prefix, &config, &x, attend));
        }
    }
    let heads = Heads {
        first: ("albert.pooler", Activation::Tanh, "classifier"),
        vocabulary: VOCABULARY,
        activation: config.activation,
        epsilon: config.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words + token types + positions, normalised and brought to the hidden size: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig) -> Value {
    let words = graph.embedding("albert.embeddings.word_embeddings").rows(&graph.token_ids());
    let types = graph.embedding("albert.embeddings.token_type_embeddings").rows(&graph.token_types());
    let positions = graph.embedding("albert.embeddings.position_embeddings").rows(&graph.positions(0));
    let sum = &(&words + &types) + &positions;
    let x = graph.norm("albert.embeddings.LayerNorm", config.epsilon).forward(&sum);
    graph.linear("albert.encoder.embedding_hidden_mapping_in").forward(&x)
}
