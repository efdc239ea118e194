//! The encoder of T5 (<https://arxiv.org/abs/1910.10683>), v1.1 and FLAN-T5 included, with the weight names and
//! defaults of transformers' `modeling_t5.py`.

use runtime_graph::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Refusal, Value};

/// T5's encoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "t5", model_types: &["t5"], base_prefix: "transformer", heads: &[Head::Base], build };

struct T5Config {
    layers: u32,
    heads: u32,
    max_distance: u32,
    epsilon: f64,
    activation: Activation,
    gated: bool,
}

impl T5Config {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let feed_forward = config.text_or("feed_forward_proj", "relu")?;
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
        Ok(Self {
            layers: config.layers_or("num_layers", 6)?,
            heads: config.size_or("num_heads", 8)?,
            max_distance: config.size_or("relative_attention_max_distance", 128)?,
            epsilon: config.number_or("layer_norm_epsilon", 1e-6)?,
            activation: activation?,
            gated,
        })
    }
}

fn build(graph: &Builder, config: &Config, _: Head) -> Result<(), Refusal> {
    let config = T5Config::read(config)?;
    let table = graph.first_tensor(&["encoder.embed_tokens.weight", "shared.weight"]);
    // All layers share the bias of the first.
    let bias = graph.tensor("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    let mut x = table.rows(&graph.token_ids());
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x, &bias));
    }
    let weight = graph.tensor("encoder.final_layer_norm.weight");
    graph.output("hidden_states", &x.rms_norm(&weight, config.epsilon));
    Ok(())
}

/// Attention and feed-forward, each over a norm and added to its input: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &T5Config, index: u32, x: &Value, bias: &Value) -> Value {
    let name = |part: &str| format!("encoder.block.{index}.layer.{part}");
    let linear = |part: &str, x: &Value| graph.linear_no_bias(&name(part)).forward(x);
    let norm =
        |part: &str, x: &Value| x.rms_norm(&graph.tensor(&format!("{}.layer_norm.weight", name(part))), config.epsilon);

    let normed = norm("0", x);
    let query = linear("0.SelfAttention.q", &normed);
    let key = linear("0.SelfAttention.k", &normed);
    let value = linear("0.SelfAttention.v", &normed);
    // T5 folds the scale into its weights.
    let options = AttentionOptions { scale: Some(1.0), ..AttentionOptions::bidirectional(config.heads) };
    let attended = query.attention_biased(&key, &value, bias, config.max_distance, options);
    let x = x + &linear("0.SelfAttention.o", &attended);

    let normed = norm("1", &x);
    let inner = if config.gated {
        let gate = linear("1.DenseReluDense.wi_0", &normed).activation(config.activation);
        &gate * &linear("1.DenseReluDense.wi_1", &normed)
    } else {
        linear("1.DenseReluDense.wi", &normed).activation(config.activation)
    };
    &x + &linear("1.DenseReluDense.wo", &inner)
}
