//! T5 (<https://arxiv.org/abs/1910.10683>), v1.1, FLAN-T5 and mT5 included, with the weight names and defaults of
//! transformers' `modeling_t5.py` and `modeling_mt5.py`.

use runtime_graph::{
    Activation, Architecture, AttentionOptions, Builder, Config, CrossAttentionOptions, Head, Refusal, Value,
};

use crate::seq2seq::HEADS;

/// T5's encoder, alone and with its decoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "t5", model_types: &["t5", "mt5"], base_prefix: "transformer", heads: &HEADS, build };

struct T5Config {
    encoder_layers: u32,
    decoder_layers: u32,
    heads: u32,
    max_distance: u32,
    epsilon: f64,
    activation: Activation,
    gated: bool,
    /// Whether the decoder's states are divided by the root of their width before the output layer.
    scaled: bool,
}

impl T5Config {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let multilingual = config.text_or("model_type", "t5")? == "mt5";
        let (layers, heads, feed_forward) = if multilingual { (8, 6, "gated-gelu") } else { (6, 8, "relu") };
        let feed_forward = config.text_or("feed_forward_proj", feed_forward)?;
        let (gated, activation) = match feed_forward.strip_prefix("gated-") {
            // As transformers has it, for the sake of the first checkpoints.
            Some("gelu") => (true, "gelu_new"),
            Some(activation) => (true, activation),
            None => (false, feed_forward),
        };
        let activation = activation.parse().map_err(|unknown| Refusal::Unsupported {
            field: "feed_forward_proj".to_owned(),
            value: feed_forward.to_owned(),
            supported: format!("{unknown}, also behind `gated-`"),
        });
        let encoder_layers = config.layers_or("num_layers", layers)?;
        Ok(Self {
            encoder_layers,
            decoder_layers: config.layers_or("num_decoder_layers", encoder_layers)?,
            heads: config.size_or("num_heads", heads)?,
            max_distance: config.size_or("relative_attention_max_distance", 128)?,
            epsilon: config.number_or("layer_norm_epsilon", 1e-6)?,
            activation: activation?,
            gated,
            // Whether the model is one of the first T5; version 5 of transformers has a field for it. The weights are
            // tied where the checkpoint has no others.
            scaled: !multilingual
                && config.flag_or("scale_decoder_outputs", config.flag_or("tie_word_embeddings", true)?)?,
        })
    }
}

/// What a part of a layer attends to.
#[derive(Clone, Copy)]
enum Over<'a> {
    /// Its own tokens, with the bias that all layers share, `[buckets, heads]`.
    Own { bias: &'a Value, causal: bool },
    /// The source.
    Source(&'a Value),
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = T5Config::read(config)?;
    if head == Head::Base {
        graph.output(head.output(), &encode(graph, &config, &graph.token_ids()));
        return Ok(());
    }
    let source = encode(graph, &config, &graph.source_ids());
    let decoded = stack(graph, &config, "decoder", &graph.token_ids(), Some(&source)).select_rows();
    let scale = decoded.shape().width().map(|width| f64::from(width).powf(-0.5));
    let decoded = scale.filter(|_| config.scaled).map_or(decoded.clone(), |scale| decoded.scale(scale));
    let weight = graph.first_tensor(&["lm_head.weight", "shared.weight", "decoder.embed_tokens.weight"]);
    graph.output(head.output(), &decoded.linear(&weight, None));
    Ok(())
}

fn encode(graph: &Builder, config: &T5Config, ids: &Value) -> Value {
    stack(graph, config, "encoder", ids, None)
}

/// The encoder, or the decoder where there is a source: `[n]` to `[n, hidden]`.
fn stack(graph: &Builder, config: &T5Config, side: &str, ids: &Value, source: Option<&Value>) -> Value {
    let table = graph.first_tensor(&[&format!("{side}.embed_tokens.weight"), "shared.weight"]);
    // All layers share the bias of the first.
    let bias = graph.tensor(&format!("{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"));
    let layers = if source.is_some() { config.decoder_layers } else { config.encoder_layers };
    let mut x = table.rows(ids);
    for index in 0..layers {
        let prefix = format!("{side}.block.{index}.layer");
        x = graph.layer(index, |graph| layer(graph, config, &prefix, &x, &bias, source));
    }
    x.rms_norm(&graph.tensor(&format!("{side}.final_layer_norm.weight")), config.epsilon)
}

/// Attention, to the source as well where there is one, and feed-forward, each over a norm and added to its input:
/// `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &T5Config, prefix: &str, x: &Value, bias: &Value, source: Option<&Value>) -> Value {
    let linear = |part: &str, x: &Value| graph.linear_no_bias(&format!("{prefix}.{part}")).forward(x);
    let norm =
        |part: u32, x: &Value| x.rms_norm(&graph.tensor(&format!("{prefix}.{part}.layer_norm.weight")), config.epsilon);
    let attend = |part: &str, x: &Value, over: Over<'_>| {
        let keyed = if let Over::Source(source) = over { source } else { x };
        let query = linear(&format!("{part}.q"), x);
        let [key, value] = ["k", "v"].map(|name| linear(&format!("{part}.{name}"), keyed));
        // T5 folds the scale into its weights.
        let scale = Some(1.0);
        let attended = match over {
            Over::Own { bias, causal } => {
                let options = AttentionOptions { scale, causal, ..AttentionOptions::bidirectional(config.heads) };
                query.attention_biased(&key, &value, bias, config.max_distance, options)
            }
            Over::Source(_) => {
                let options = CrossAttentionOptions { scale, ..CrossAttentionOptions::new(config.heads) };
                query.cross_attention(&key, &value, options)
            }
        };
        linear(&format!("{part}.o"), &attended)
    };

    let own = Over::Own { bias, causal: source.is_some() };
    let mut x = x + &attend("0.SelfAttention", &norm(0, x), own);
    let mut last = 1;
    if let Some(source) = source {
        x = &x + &attend("1.EncDecAttention", &norm(1, &x), Over::Source(source));
        last = 2;
    }

    let normed = norm(last, &x);
    let linear = |part: &str, x: &Value| linear(&format!("{last}.DenseReluDense.{part}"), x);
    let inner = if config.gated {
        let gate = linear("wi_0", &normed).activation(config.activation);
        &gate * &linear("wi_1", &normed)
    } else {
        linear("wi", &normed).activation(config.activation)
    };
    &x + &linear("wo", &inner)
}
