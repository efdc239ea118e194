//! RoBERTa (<https://arxiv.org/abs/1907.11692>), XLM-RoBERTa and CamemBERT, with the weight names and defaults of
//! transformers' `modeling_roberta.py`: BERT's layers, positions counted behind the padding token, other heads.

use runtime_graph::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm, require_plain_encoder};
use crate::heads::{Heads, Vocabulary};

/// RoBERTa encoders with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "roberta",
    model_types: &["roberta", "xlm-roberta", "camembert"],
    base_prefix: "roberta",
    heads: &Head::OF_ENCODERS,
    build,
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    decoder: &["lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"],
    bias: &["lm_head.decoder.bias", "lm_head.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    require_plain_encoder(config)?;
    let padding = config.token_or("pad_token_id", 1)?;
    let config = EncoderConfig::BERT.read(config)?;
    // The table has rows for the padding token and those before it, too.
    graph.max_sequence(config.max_positions.saturating_sub(padding + 1).max(1));

    let mut x = embeddings(graph, &config, padding);
    for index in 0..config.layers {
        let prefix = format!("roberta.encoder.layer.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| config.attend(q, k, v);
        x = graph.layer(index, |graph| PostNorm::BERT.layer(graph, &prefix, &config, &x, attend));
    }
    let heads = Heads {
        first: ("classifier.dense", Activation::Tanh, "classifier.out_proj"),
        vocabulary: VOCABULARY,
        activation: Activation::Gelu,
        epsilon: config.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words + token types (always 0) + positions, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig, padding: u32) -> Value {
    let words = graph.embedding("roberta.embeddings.word_embeddings").rows(&graph.token_ids());
    let types = graph.embedding("roberta.embeddings.token_type_embeddings").rows(&graph.token_types());
    let positions = graph.positions_without(padding);
    let positions = graph.embedding("roberta.embeddings.position_embeddings").rows(&positions);
    let sum = &(&words + &types) + &positions;
    graph.norm("roberta.embeddings.LayerNorm", config.epsilon).forward(&sum)
}
