//! MPNet (<https://arxiv.org/abs/2004.09297>), with the weight names and defaults of transformers'
//! `modeling_mpnet.py`: BERT's layers with a bias for each distance, shared by all layers.

use runtime_graph::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Refusal, Value};

use crate::encoder::{EncoderConfig, PostNorm};
use crate::heads::{Heads, Vocabulary};

/// MPNet encoders with each of their heads.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "mpnet", model_types: &["mpnet"], base_prefix: "mpnet", heads: &Head::OF_ENCODERS, build };

/// Fixed in `modeling_mpnet.py`.
const MAX_DISTANCE: u32 = 128;

/// `MPNetEmbeddings` counts positions behind this token, whatever `pad_token_id` is.
const PADDING: u32 = 1;

const LAYER: PostNorm = PostNorm {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attended: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..PostNorm::BERT
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    decoder: &["lm_head.decoder.weight", "mpnet.embeddings.word_embeddings.weight"],
    bias: &["lm_head.decoder.bias", "lm_head.bias"],
};

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = EncoderConfig::BERT.read(config)?;
    // The table has rows for the padding token and the one before it, too.
    graph.max_sequence(config.max_positions.saturating_sub(PADDING + 1).max(1));

    let bias = graph.tensor("mpnet.encoder.relative_attention_bias.weight");
    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        let prefix = format!("mpnet.encoder.layer.{index}");
        let attend = |q: &Value, k: &Value, v: &Value| {
            q.attention_biased(k, v, &bias, MAX_DISTANCE, AttentionOptions::bidirectional(config.heads))
        };
        x = graph.layer(index, |graph| LAYER.layer(graph, &prefix, &config, &x, attend));
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

/// Words + positions, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig) -> Value {
    let words = graph.embedding("mpnet.embeddings.word_embeddings").rows(&graph.token_ids());
    let positions = graph.positions_without(PADDING);
    let positions = graph.embedding("mpnet.embeddings.position_embeddings").rows(&positions);
    graph.norm("mpnet.embeddings.LayerNorm", config.epsilon).forward(&(&words + &positions))
}
