//! BERT (<https://arxiv.org/abs/1810.04805>), with the weight names and defaults of transformers' `modeling_bert.py`.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm, require_plain_encoder};
use crate::heads::{Heads, Vocabulary};

/// BERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "bert", model_types: &["bert"], base_prefix: "bert", heads: &Head::OF_ENCODERS, build };

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    decoder: &["cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"],
    bias: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    require_plain_encoder(config)?;
    let config = EncoderConfig::BERT.read(config)?;
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        let prefix = format!("bert.encoder.layer.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
        x = graph.layer(index, |graph| PostNorm::BERT.layer(graph, &prefix, &config, &x, attend));
    }
    let heads = Heads {
        first: ("bert.pooler.dense", Activation::Tanh, "classifier"),
        vocabulary: VOCABULARY,
        activation: config.activation,
        epsilon: config.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words + positions + token types, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig) -> Value {
    let words = graph.embedding("bert.embeddings.word_embeddings").rows(&graph.token_ids());
    let types = graph.embedding("bert.embeddings.token_type_embeddings").rows(&graph.token_types());
    let positions = graph.embedding("bert.embeddings.position_embeddings").rows(&graph.positions(0));
    let sum = &(&words + &types) + &positions;
    graph.norm("bert.embeddings.LayerNorm", config.epsilon).forward(&sum)
}
