//! DeBERTa-v2 and v3 (<https://arxiv.org/abs/2006.03654>), with the weight names and defaults of transformers'
//! `modeling_deberta_v2.py`: BERT's layers, attention with terms for the distance of two tokens.

use runtime_graph::{
    Activation, Architecture, AttentionOptions, Builder, Config, Head, Positions, Refusal, Shape, Value,
};
use serde_json::Value as Json;

use crate::encoder::{EncoderConfig, PostNorm};
use crate::heads::{Heads, Vocabulary};

/// DeBERTa-v2 encoders with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "deberta-v2",
    model_types: &["deberta-v2"],
    base_prefix: "deberta",
    heads: &Head::OF_ENCODERS,
    build,
};

const LAYER: PostNorm = PostNorm {
    query: "attention.self.query_proj",
    key: "attention.self.key_proj",
    value: "attention.self.value_proj",
    ..PostNorm::BERT
};

/// `"legacy": true`, the default.
const LEGACY_VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    decoder: &["cls.predictions.decoder.weight", "deberta.embeddings.word_embeddings.weight"],
    bias: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    dense: "lm_predictions.lm_head.dense",
    norm: "lm_predictions.lm_head.LayerNorm",
    decoder: &["deberta.embeddings.word_embeddings.weight"],
    bias: &["lm_predictions.lm_head.bias"],
};

/// What DeBERTa has beyond BERT.
struct Extras {
    /// Whether there is a table of distances at all.
    relative: bool,
    content_to_position: bool,
    position_to_content: bool,
    /// Whether contents and positions share their layers.
    share_att_key: bool,
    /// Distances that share the span's buckets, if they do.
    max_distance: Option<u32>,
    norm_of_distances: bool,
    /// `conv_act`, where there is a convolution.
    convolution: Option<Activation>,
    conv_groups: u32,
    pooler_activation: Activation,
    positions_in_embeddings: bool,
    legacy: bool,
}

impl Extras {
    fn read(config: &Config, max_positions: u32) -> Result<Self, Refusal> {
        let positive = |field: &str| config.get(field).and_then(Json::as_i64).filter(|number| *number > 0);
        let size = |field: &str| positive(field).map(|_| config.size(field)).transpose();
        let terms = position_terms(config);
        let max_distance = size("max_relative_positions")?.unwrap_or(max_positions);
        let buckets = size("position_buckets")?;
        let norm = config.text_or("norm_rel_ebd", "none")?.to_lowercase();
        Ok(Self {
            relative: config.flag_or("relative_attention", false)?,
            content_to_position: terms.iter().any(|term| term == "c2p"),
            position_to_content: terms.iter().any(|term| term == "p2c"),
            share_att_key: config.flag_or("share_att_key", false)?,
            max_distance: buckets.map(|_| max_distance),
            norm_of_distances: norm.split('|').any(|part| part.trim() == "layer_norm"),
            convolution: match size("conv_kernel_size")? {
                Some(_) => Some(config.activation_or("conv_act", Activation::Tanh)?),
                None => None,
            },
            conv_groups: config.size_or("conv_groups", 1)?,
            pooler_activation: config.activation_or("pooler_hidden_act", Activation::Gelu)?,
            positions_in_embeddings: config.flag_or("position_biased_input", true)?,
            legacy: config.flag_or("legacy", true)?,
        })
    }

    /// The scale of a head's scores: each kind of term counts as much as the contents alone.
    fn scale(&self, head_size: u32) -> f64 {
        let terms = 1 + u32::from(self.content_to_position) + u32::from(self.position_to_content);
        1.0 / (f64::from(head_size) * f64::from(terms)).sqrt()
    }
}

/// `pos_att_type`, a list or a text such as `c2p|p2c`.
fn position_terms(config: &Config) -> Vec<String> {
    match config.get("pos_att_type") {
        Some(Json::String(terms)) => terms.to_lowercase().split('|').map(|term| term.trim().to_owned()).collect(),
        Some(Json::Array(terms)) => terms.iter().filter_map(Json::as_str).map(str::to_lowercase).collect(),
        _ => Vec::new(),
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let encoder = EncoderConfig { layers: 24, heads: 24, epsilon: 1e-7, ..EncoderConfig::BERT }.read(config)?;
    let extras = Extras::read(config, encoder.max_positions)?;
    graph.max_sequence(encoder.max_positions);

    let embedded = embeddings(graph, &encoder, &extras);
    let distances = extras.relative.then(|| distances(graph, &encoder, &extras));
    let mut x = embedded.clone();
    for index in 0..encoder.layers {
        x = graph.layer(index, |graph| {
            let y = layer(graph, &encoder, &extras, distances.as_ref(), index, &x);
            match extras.convolution {
                Some(activation) if index == 0 => convolve(graph, &encoder, &extras, activation, &embedded, &y),
                _ => y,
            }
        });
    }
    let heads = Heads {
        first: ("pooler.dense", extras.pooler_activation, "classifier"),
        vocabulary: if extras.legacy { LEGACY_VOCABULARY } else { VOCABULARY },
        activation: encoder.activation,
        epsilon: encoder.epsilon,
    };
    heads.output(graph, x, head);
    Ok(())
}

/// Words, with positions and token types where the model has them, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &EncoderConfig, extras: &Extras) -> Value {
    let mut x = graph.embedding("deberta.embeddings.word_embeddings").rows(&graph.token_ids());
    if extras.positions_in_embeddings {
        x = &x + &graph.embedding("deberta.embeddings.position_embeddings").rows(&graph.positions(0));
    }
    if graph.find("deberta.embeddings.token_type_embeddings.weight").is_some() {
        x = &x + &graph.embedding("deberta.embeddings.token_type_embeddings").rows(&graph.token_types());
    }
    if graph.find("deberta.embeddings.embed_proj.weight").is_some() {
        x = graph.linear_no_bias("deberta.embeddings.embed_proj").forward(&x);
    }
    graph.norm("deberta.embeddings.LayerNorm", config.epsilon).forward(&x)
}

/// The table of distances: `[2 * span, hidden]`.
fn distances(graph: &Builder, config: &EncoderConfig, extras: &Extras) -> Value {
    let table = graph.tensor("deberta.encoder.rel_embeddings.weight");
    if extras.norm_of_distances {
        graph.norm("deberta.encoder.LayerNorm", config.epsilon).forward(&table)
    } else {
        table
    }
}

fn layer(
    graph: &Builder,
    config: &EncoderConfig,
    extras: &Extras,
    distances: Option<&Value>,
    index: u32,
    x: &Value,
) -> Value {
    let prefix = format!("deberta.encoder.layer.{index}");
    let project = |distances: &Value, shared: &str, own: &str| {
        let part = if extras.share_att_key { shared } else { own };
        graph.linear(&format!("{prefix}.attention.self.{part}")).forward(distances)
    };
    let attend = |q: &Value, k: &Value, v: &Value| {
        let head_size = width(&q.shape()) / config.heads;
        let scale = Some(extras.scale(head_size));
        let options = AttentionOptions { scale, ..AttentionOptions::bidirectional(config.heads) };
        let keys = distances.filter(|_| extras.content_to_position);
        let keys = keys.map(|distances| project(distances, "key_proj", "pos_key_proj"));
        let queries = distances.filter(|_| extras.position_to_content);
        let queries = queries.map(|distances| project(distances, "query_proj", "pos_query_proj"));
        if keys.is_none() && queries.is_none() {
            return q.attention(k, v, options);
        }
        let positions = Positions { keys: keys.as_ref(), queries: queries.as_ref(), max_distance: extras.max_distance };
        q.attention_disentangled(k, v, positions, options)
    };
    LAYER.layer(graph, &prefix, config, x, attend)
}

fn width(shape: &Shape) -> u32 {
    shape.width().unwrap_or(0)
}

/// What the first layer gives, with a convolution over the embeddings added, normalised: `[n, hidden]`.
fn convolve(
    graph: &Builder,
    config: &EncoderConfig,
    extras: &Extras,
    activation: Activation,
    embedded: &Value,
    x: &Value,
) -> Value {
    let weight = graph.tensor("deberta.encoder.conv.conv.weight");
    let bias = graph.tensor("deberta.encoder.conv.conv.bias");
    let near = embedded.convolution(&weight, Some(&bias), extras.conv_groups).activation(activation);
    graph.norm("deberta.encoder.conv.LayerNorm", config.epsilon).forward(&(x + &near))
}
