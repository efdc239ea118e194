//! BERT (<https://arxiv.org/abs/1810.04805>), with the weight names and defaults of transformers' `modeling_bert.py`.

use runtime_graph::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Pooling, Refusal, Value};

/// BERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "bert", model_types: &["bert"], base_prefix: "bert", heads: &Head::ALL, build };

/// The fields of `config.json` that shape the graph; sizes of weights are the checkpoint's own.
struct BertConfig {
    layers: u32,
    heads: u32,
    activation: Activation,
    epsilon: f64,
    max_positions: u32,
}

impl BertConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let position = config.text_or("position_embedding_type", "absolute")?;
        if position != "absolute" {
            return Err(Refusal::Unsupported {
                field: "position_embedding_type".to_owned(),
                value: position.to_owned(),
                supported: "`absolute`".to_owned(),
            });
        }
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", 12)?,
            heads: config.size_or("num_attention_heads", 12)?,
            activation: config.activation_or("hidden_act", Activation::Gelu)?,
            epsilon: config.number_or("layer_norm_eps", 1e-12)?,
            max_positions: config.size_or("max_position_embeddings", 512)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = BertConfig::read(config)?;
    graph.max_sequence(config.max_positions);

    let mut x = embeddings(graph, &config);
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x));
    }
    match head {
        Head::Base => graph.output("hidden_states", &x),
        Head::SequenceClassification => graph.output("logits", &classify(graph, &x)),
        Head::TokenClassification => graph.output("logits", &graph.linear("classifier").forward(&x)),
        Head::QuestionAnswering => graph.output("logits", &graph.linear("qa_outputs").forward(&x)),
        Head::MaskedLm => graph.output("logits", &predict(graph, &config, &x)),
    }
    Ok(())
}

/// Words + positions + token types, normalised: `[n, hidden]`.
fn embeddings(graph: &Builder, config: &BertConfig) -> Value {
    let words = graph.embedding("bert.embeddings.word_embeddings").rows(&graph.token_ids());
    let types = graph.embedding("bert.embeddings.token_type_embeddings").rows(&graph.token_types());
    let positions = graph.embedding("bert.embeddings.position_embeddings").rows(&graph.positions(0));
    let sum = &(&words + &types) + &positions;
    graph.norm("bert.embeddings.LayerNorm", config.epsilon).forward(&sum)
}

/// Attention and feed-forward, each added to its input and then normalised: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &BertConfig, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("bert.encoder.layer.{index}.{part}");
    let linear = |part: &str, x: &Value| graph.linear(&name(part)).forward(x);
    let norm = |part: &str, x: &Value| graph.norm(&name(part), config.epsilon).forward(x);

    let query = linear("attention.self.query", x);
    let key = linear("attention.self.key", x);
    let value = linear("attention.self.value", x);
    let attended = query.attention(&key, &value, AttentionOptions::bidirectional(config.heads));
    let x = norm("attention.output.LayerNorm", &(&linear("attention.output.dense", &attended) + x));

    let inner = linear("intermediate.dense", &x).activation(config.activation);
    norm("output.LayerNorm", &(&linear("output.dense", &inner) + &x))
}

/// The pooler over the first token and the classifier: `[n, hidden]` to `[s, labels]`.
fn classify(graph: &Builder, x: &Value) -> Value {
    let first = x.pool(Pooling::First);
    let pooled = graph.linear("bert.pooler.dense").forward(&first).activation(Activation::Tanh);
    graph.linear("classifier").forward(&pooled)
}

/// Scores of the vocabulary for the rows asked for, by the word embeddings unless the checkpoint has a decoder:
/// `[n, hidden]` to `[r, vocabulary]`.
fn predict(graph: &Builder, config: &BertConfig, x: &Value) -> Value {
    let x = graph.linear("cls.predictions.transform.dense").forward(&x.select_rows()).activation(config.activation);
    let x = graph.norm("cls.predictions.transform.LayerNorm", config.epsilon).forward(&x);
    let decoder = ["cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"];
    x.linear(
        &graph.first_tensor(&decoder),
        Some(&graph.first_tensor(&["cls.predictions.bias", "cls.predictions.decoder.bias"])),
    )
}
