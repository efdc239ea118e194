//! ELECTRA (<https://arxiv.org/abs/2003.10555>), with the weight names and defaults of transformers'
//! `modeling_electra.py`: BERT's layers over embeddings that may be narrower.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm, require_plain_encoder};
use crate::heads::{Heads, Vocabulary};

/// ELECTRA discriminators and generators with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "electra",
    model_types: &["electra"],
    base_prefix: "electra",
    heads: &Head::OF_ENCODERS,
    build,
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "generator_predictions.dense",
    norm: "generator_predictions.LayerNorm",
    decoder: &["generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"],
    bias: &["generator_lm_head.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    require_plain_encoder(config)?;
    let config = EncoderConfig { heads: 4, ..EncoderConfig::BERT }.read(config)?;
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        let prefix = format!("electra.encoder.layer.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
        x = graph.layer(index, |graph| PostNorm::BERT.layer(graph, &prefix, &config, &x, attend));
    }
    let heads = Heads {
        first: ("classifier.dense", Activation::Gelu, "classifier.out_proj"),
        vocabulary: VOCABULARY,
        activation: Activation::Gelu,
        epsilon: config.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words + token types + positions, normalised and brought to the hidden size: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig) -> Value {
    let words = graph.embedding("electra.embeddings.word_embeddings").rows(&graph.token_ids());
    let types = graph.embedding("electra.embeddings.token_type_embeddings").rows(&graph.token_types());
    let positions = graph.embedding("electra.embeddings.position_embeddings").rows(&graph.positions(0));
    let sum = &(&words + &types) + &positions;
    let x = graph.norm("electra.embeddings.LayerNorm", config.epsilon).forward(&sum);
    // A checkpoint whose embeddings are as wide as its layers has no such layer.
    match graph.find("electra.embeddings_project.weight") {
        Some(_) => graph.linear("electra.embeddings_project").forward(&x),
        None => x,
    }
}
