//! SqueezeBERT, a BERT whose products are convolutions in groups, with the names and defaults of transformers'
//! `modeling_squeezebert.py`.
//!
//! Each convolution is over one token; its groups of columns know nothing of each other, which takes a fraction of the
//! weights and of the work ([Iandola et al., 2020](https://arxiv.org/abs/2006.11316)).

use runtime_plugin_sdk::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Pooling, Refusal, Value};

/// SqueezeBERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "squeezebert",
    model_types: &["squeezebert"],
    base_prefix: "transformer",
    heads: &Head::OF_ENCODERS,
    build,
};

/// Added to the variance within layers, whatever `layer_norm_eps` says for the other norms.
const LAYER_EPSILON: f64 = 1e-12;

struct SqueezeBertConfig {
    layers: u32,
    heads: u32,
    activation: Activation,
    /// Of the norms outside of the layers.
    epsilon: f64,
    max_positions: u32,
    groups: Groups,
}

/// Groups of columns of each convolution.
struct Groups {
    query: u32,
    key: u32,
    value: u32,
    post_attention: u32,
    intermediate: u32,
    output: u32,
}

impl SqueezeBertConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let (hidden, embedding) = (config.size_or("hidden_size", 768)?, config.size_or("embedding_size", 768)?);
        if embedding != hidden {
            return Err(Refusal::Unsupported {
                field: "embedding_size".to_owned(),
                value: embedding.to_string(),
                supported: format!("`hidden_size`, {hidden}"),
            });
        }
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", 12)?,
            heads: config.size_or("num_attention_heads", 12)?,
            activation: config.activation_or("hidden_act", Activation::Gelu)?,
            epsilon: config.number_or("layer_norm_eps", 1e-12)?,
            max_positions: config.size_or("max_position_embeddings", 512)?,
            groups: Groups {
                query: config.size_or("q_groups", 4)?,
                key: config.size_or("k_groups", 4)?,
                value: config.size_or("v_groups", 4)?,
                post_attention: config.size_or("post_attention_groups", 1)?,
                intermediate: config.size_or("intermediate_groups", 4)?,
                output: config.size_or("output_groups", 4)?,
            },
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = SqueezeBertConfig::read(config)?;
    graph.max_sequence(config.max_positions);
    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x));
    }
    let output = match head {
        Head::SequenceClassification => {
            let pooled = graph.linear("transformer.pooler.dense").forward(&x.pool(Pooling::First));
            graph.linear("classifier").forward(&pooled.activation(Activation::Tanh))
        }
        Head::TokenClassification => graph.linear("classifier").forward(&x),
        Head::QuestionAnswering => graph.linear("qa_outputs").forward(&x),
        Head::MaskedLm => words(graph, &config, &x),
        _ => x,
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// Words + positions + token types, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &SqueezeBertConfig) -> Value {
    let table = |name: &str| graph.embedding(&format!("transformer.embeddings.{name}_embeddings"));
    let words = table("word").rows(&graph.token_ids());
    let positions = table("position").rows(&graph.positions(0));
    let types = table("token_type").rows(&graph.token_types());
    graph.norm("transformer.embeddings.LayerNorm", config.epsilon).forward(&(&(&words + &positions) + &types))
}

/// Attention and feed-forward, each added to its input and normalised: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &SqueezeBertConfig, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("transformer.encoder.layers.{index}.{part}");
    let convolve = |part: &str, x: &Value, groups: u32| {
        let [weight, bias] = ["weight", "bias"].map(|tensor| graph.tensor(&format!("{}.{tensor}", name(part))));
        x.convolution(&weight, Some(&bias), groups)
    };
    let norm = |part: &str, x: &Value| graph.norm(&name(part), LAYER_EPSILON).forward(x);
    let groups = &config.groups;

    let query = convolve("attention.query", x, groups.query);
    let key = convolve("attention.key", x, groups.key);
    let value = convolve("attention.value", x, groups.value);
    let attended = query.attention(&key, &value, AttentionOptions::bidirectional(config.heads));
    let attended = convolve("post_attention.conv1d", &attended, groups.post_attention);
    let x = norm("post_attention.layernorm", &(&attended + x));

    let inner = convolve("intermediate.conv1d", &x, groups.intermediate).activation(config.activation);
    norm("output.layernorm", &(&convolve("output.conv1d", &inner, groups.output) + &x))
}

/// Scores of the vocabulary for the rows asked for: `[n, hidden]` to `[r, vocabulary]`.
fn words(graph: &Builder, config: &SqueezeBertConfig, x: &Value) -> Value {
    let x = graph.linear("cls.predictions.transform.dense").forward(&x.select_rows()).activation(config.activation);
    let x = graph.norm("cls.predictions.transform.LayerNorm", config.epsilon).forward(&x);
    let tied = ["cls.predictions.decoder.weight", "transformer.embeddings.word_embeddings.weight"];
    let bias = ["cls.predictions.decoder.bias", "cls.predictions.bias"];
    x.linear(&graph.first_tensor(&tied), Some(&graph.first_tensor(&bias)))
}

runtime_plugin_sdk::export!(ARCHITECTURE);
