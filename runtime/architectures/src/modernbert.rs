//! ModernBERT (<https://arxiv.org/abs/2412.13663>), with the weight names and defaults of transformers'
//! `modeling_modernbert.py`: rotary positions, windows in most layers, gated feed-forward, norms before each part.

use runtime_graph::{
    Activation, Architecture, AttentionOptions, Builder, Config, Head, Linear, Norm, Pooling, Refusal, Rotary, Value,
};
use serde_json::Value as Json;

/// ModernBERT encoders with each of their heads.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "modernbert",
    model_types: &["modernbert"],
    base_prefix: "model",
    heads: &Head::OF_ENCODERS,
    build,
};

struct ModernBertConfig {
    layers: u32,
    heads: u32,
    activation: Activation,
    epsilon: f64,
    max_positions: u32,
    /// Tokens that a layer with a window sees to each side.
    window: u32,
    /// Whether each layer sees all tokens.
    sees_all: Vec<bool>,
    /// The bases of the rotary frequencies, with a window and without.
    local_theta: f64,
    global_theta: f64,
    norm_bias: bool,
    attention_bias: bool,
    mlp_bias: bool,
    classifier_bias: bool,
    decoder_bias: bool,
    classifier_activation: Activation,
    classifier_pooling: Pooling,
}

impl ModernBertConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let layers = config.layers_or("num_hidden_layers", 22)?;
        Ok(Self {
            layers,
            heads: config.size_or("num_attention_heads", 12)?,
            activation: config.activation_or("hidden_activation", Activation::Gelu)?,
            epsilon: config.number_or("norm_eps", 1e-5)?,
            max_positions: config.size_or("max_position_embeddings", 8192)?,
            window: config.size_or("local_attention", 128)? / 2,
            sees_all: sees_all(config, layers)?,
            local_theta: theta(config, "sliding_attention", "local_rope_theta", 10_000.0)?,
            global_theta: theta(config, "full_attention", "global_rope_theta", 160_000.0)?,
            norm_bias: config.flag_or("norm_bias", false)?,
            attention_bias: config.flag_or("attention_bias", false)?,
            mlp_bias: config.flag_or("mlp_bias", false)?,
            classifier_bias: config.flag_or("classifier_bias", false)?,
            decoder_bias: config.flag_or("decoder_bias", true)?,
            classifier_activation: config.activation_or("classifier_activation", Activation::Gelu)?,
            classifier_pooling: match config.text_or("classifier_pooling", "cls")? {
                "cls" => Pooling::First,
                "mean" => Pooling::Mean,
                other => return Err(unsupported("classifier_pooling", other, "`cls` or `mean`")),
            },
        })
    }

    fn norm(&self, graph: &Builder, name: &str) -> Norm {
        if self.norm_bias { graph.norm(name, self.epsilon) } else { graph.norm_no_bias(name, self.epsilon) }
    }
}

fn unsupported(field: &str, value: &str, supported: &str) -> Refusal {
    Refusal::Unsupported { field: field.to_owned(), value: value.to_owned(), supported: supported.to_owned() }
}

/// By `layer_types`, else every `global_attn_every_n_layers`-th.
fn sees_all(config: &Config, layers: u32) -> Result<Vec<bool>, Refusal> {
    if let Some(types) = config.get("layer_types").and_then(Json::as_array) {
        let sees = |name: &Json| match name.as_str() {
            Some("full_attention") => Ok(true),
            Some("sliding_attention") => Ok(false),
            _ => Err(unsupported("layer_types", &name.to_string(), "`full_attention` and `sliding_attention`")),
        };
        let types = types.iter().map(sees).collect::<Result<Vec<_>, _>>()?;
        if types.len() != layers as usize {
            return Err(unsupported("layer_types", &format!("{} entries", types.len()), "one entry for each layer"));
        }
        return Ok(types);
    }
    let every = config.size_or("global_attn_every_n_layers", 3)?;
    Ok((0..layers).map(|index| index % every == 0).collect())
}

/// In the form of transformers 5 (`rope_parameters`, by kind of layer), else of 4.
fn theta(config: &Config, kind: &str, field: &str, default: f64) -> Result<f64, Refusal> {
    let parameters = config.get("rope_parameters").and_then(|parameters| parameters.get(kind));
    let scaled = [parameters, config.get("rope_scaling")].into_iter().flatten();
    for kind in scaled.filter_map(|scaling| scaling.get("rope_type").or(scaling.get("type"))?.as_str()) {
        if kind != "default" {
            return Err(unsupported("rope_type", kind, "`default`"));
        }
    }
    match parameters.and_then(|parameters| parameters.get("rope_theta")?.as_f64()) {
        Some(theta) => Ok(theta),
        None => config.number_or(field, default),
    }
}

fn linear(graph: &Builder, name: &str, bias: bool) -> Linear {
    if bias { graph.linear(name) } else { graph.linear_no_bias(name) }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = ModernBertConfig::read(config)?;
    graph.max_sequence(config.max_positions);

    let words = graph.embedding("model.embeddings.tok_embeddings").rows(&graph.token_ids());
    let mut x = config.norm(graph, "model.embeddings.norm").forward(&words);
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x));
    }
    let x = config.norm(graph, "model.final_norm").forward(&x);

    let transform = |x: &Value| {
        let dense = linear(graph, "head.dense", config.classifier_bias);
        config.norm(graph, "head.norm").forward(&dense.forward(x).activation(config.classifier_activation))
    };
    let output = match head {
        Head::Base | Head::CausalLm | Head::Seq2SeqLm => x,
        Head::SequenceClassification => {
            graph.linear("classifier").forward(&transform(&x.pool(config.classifier_pooling)))
        }
        Head::TokenClassification | Head::QuestionAnswering => graph.linear("classifier").forward(&transform(&x)),
        Head::MaskedLm => {
            let decoder = graph.first_tensor(&["decoder.weight", "model.embeddings.tok_embeddings.weight"]);
            let bias = config.decoder_bias.then(|| graph.tensor("decoder.bias"));
            transform(&x.select_rows()).linear(&decoder, bias.as_ref())
        }
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// Attention and gated feed-forward, each over a norm and added to its input: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &ModernBertConfig, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("model.layers.{index}.{part}");
    let (window, theta) = match config.sees_all[index as usize] {
        true => (None, config.global_theta),
        false => (Some(config.window), config.local_theta),
    };
    // The embeddings are normalised already.
    let normed = if index == 0 { x.clone() } else { config.norm(graph, &name("attn_norm")).forward(x) };
    let [query, key, value] = linear(graph, &name("attn.Wqkv"), config.attention_bias).forward(&normed).split();
    let head_size = query.shape().width().unwrap_or(0) / config.heads;
    let options = AttentionOptions { window, ..AttentionOptions::bidirectional(config.heads) };
    let rotary = Rotary::plain(head_size, head_size, theta);
    let attended = query.rotary(&rotary).attention(&key.rotary(&rotary), &value, options);
    let x = x + &linear(graph, &name("attn.Wo"), config.attention_bias).forward(&attended);

    let normed = config.norm(graph, &name("mlp_norm")).forward(&x);
    let [inner, gate] = linear(graph, &name("mlp.Wi"), config.mlp_bias).forward(&normed).split();
    let gated = &inner.activation(config.activation) * &gate;
    &x + &linear(graph, &name("mlp.Wo"), config.mlp_bias).forward(&gated)
}
