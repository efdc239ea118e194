//! DiffLlama, a Llama with differential attention, with the names and defaults of transformers' `modeling_diffllama.py`.
//!
//! The heads of a layer come in pairs. What the second of a pair attends to, times a number that the layer has learnt, is
//! taken from what the first attends to, so that what both see alike, which is mostly noise, cancels out
//! ([Ye et al., 2024](https://arxiv.org/abs/2410.05258)). Values are twice as wide as queries and keys.

use runtime_plugin_sdk::{
    Activation, Architecture, AttentionOptions, Builder, Config, Head, Refusal, Rope, Rotary, Value,
};

/// DiffLlama decoders.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "diffllama",
    model_types: &["diffllama"],
    base_prefix: "model",
    heads: &[Head::Base, Head::CausalLm],
    build,
};

struct DiffLlamaConfig {
    layers: u32,
    /// Of queries; half of them are the first of their pairs.
    heads: u32,
    key_value_heads: u32,
    head_size: u32,
    activation: Activation,
    epsilon: f64,
    rotary: Rotary,
    /// Tokens, where the rotary embedding holds for fewer than the model takes.
    limit: Option<u32>,
    /// Whether the products of attention have biases.
    biases: bool,
    tied: bool,
}

impl DiffLlamaConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let heads = config.size_or("num_attention_heads", 32)?;
        let key_value_heads = config.size_or("num_key_value_heads", heads)?;
        if !key_value_heads.is_multiple_of(2) {
            return Err(Refusal::Unsupported {
                field: "num_key_value_heads".to_owned(),
                value: key_value_heads.to_string(),
                supported: "an even number".to_owned(),
            });
        }
        let head_size = config.size_or("head_dim", config.size_or("hidden_size", 2048)? / heads)?;
        let rope = Rope::read(config, head_size, config.size_or("max_position_embeddings", 2048)?, 10_000.0)?;
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", 16)?,
            heads,
            key_value_heads,
            head_size,
            activation: config.activation_or("hidden_act", Activation::Silu)?,
            epsilon: config.number_or("rms_norm_eps", 1e-5)?,
            rotary: rope.rotary,
            limit: rope.limit,
            biases: config.flag_or("attention_bias", false)?,
            tied: config.flag_or("tie_word_embeddings", false)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = DiffLlamaConfig::read(config)?;
    if let Some(limit) = config.limit {
        graph.max_sequence(limit);
    }
    let mut x = graph.embedding("model.embed_tokens").rows(&graph.token_ids());
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x));
    }
    let output = match head {
        Head::CausalLm => {
            let weights: &[&str] =
                if config.tied { &["lm_head.weight", "model.embed_tokens.weight"] } else { &["lm_head.weight"] };
            norm(graph, &config, "model.norm", &x.select_rows()).linear(&graph.first_tensor(weights), None)
        }
        _ => norm(graph, &config, "model.norm", &x),
    };
    graph.output(head.output(), &output);
    Ok(())
}

fn norm(graph: &Builder, config: &DiffLlamaConfig, name: &str, x: &Value) -> Value {
    x.rms_norm(&graph.tensor(&format!("{name}.weight")), config.epsilon)
}

/// Attention and feed-forward, each over a norm and added to its input: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &DiffLlamaConfig, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("model.layers.{index}.{part}");
    let normed = norm(graph, config, &name("input_layernorm"), x);
    let x = x + &attention(graph, config, index, &normed);

    let normed = norm(graph, config, &name("post_attention_layernorm"), &x);
    let [gate, up] = ["mlp.gate_proj", "mlp.up_proj"].map(|part| graph.linear_no_bias(&name(part)).forward(&normed));
    let inner = graph.linear_no_bias(&name("mlp.down_proj")).forward(&(&gate.activation(config.activation) * &up));
    &x + &inner
}

/// `(softmax(q1 k1^T) - lambda softmax(q2 k2^T)) v` for each pair of heads, normalised: `[n, hidden]` to `[n, hidden]`.
fn attention(graph: &Builder, config: &DiffLlamaConfig, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("model.layers.{index}.self_attn.{part}");
    let product = |part: &str, x: &Value| match config.biases {
        true => graph.linear(&name(part)).forward(x),
        false => graph.linear_no_bias(&name(part)).forward(x),
    };
    // The first half of the heads has the first of each pair, and the first half of the values' columns.
    let [q1, q2] = product("q_proj", x).rotary(&config.rotary).split();
    let [k1, k2] = product("k_proj", x).rotary(&config.rotary).split();
    let [v1, v2] = product("v_proj", x).split();
    let pairs = config.heads / 2;
    let attend = |q: &Value, k: &Value| {
        // Attention takes values as wide as keys: one half after the other, and the halves of each head side by side.
        let options = AttentionOptions::causal(pairs, config.key_value_heads / 2);
        q.attention(k, &v1, options).join(&q.attention(k, &v2, options), pairs)
    };

    let initial = initial_lambda(index);
    let factor = column(graph, x, &lambda(graph, config, &name, initial)).scale(-1.0);
    let difference = &attend(&q1, &k1) + &(&attend(&q2, &k2) * &factor);
    // The norm of each head has no weight; what the result is scaled by stands in its place.
    let weight = graph.ones(2 * config.head_size).scale(1.0 - initial);
    product("o_proj", &difference.rms_norm(&weight, config.epsilon))
}

/// What lambda is about before training: `lambda_init_fn` in transformers.
fn initial_lambda(index: u32) -> f64 {
    0.8 - 0.6 * (-0.3 * f64::from(index)).exp()
}

/// `exp(q1 . k1) - exp(q2 . k2) + initial` of the layer's vectors, `[1, 1]`; it depends on no token and is computed once.
fn lambda(graph: &Builder, config: &DiffLlamaConfig, name: &impl Fn(&str) -> String, initial: f64) -> Value {
    let ones = graph.ones(config.head_size);
    // Products are of matrices: a row of ones, which a norm leaves as it is, takes the vector for its weight.
    let row = |part: &str| ones.rms_norm(&graph.tensor(&name(part)), 0.0);
    let exponential = |q: &str, k: &str| row(q).linear(&row(k), None).activation(Activation::Exp);
    let difference = &exponential("lambda_q1", "lambda_k1") + &exponential("lambda_q2", "lambda_k2").scale(-1.0);
    &difference + &graph.ones(1).scale(initial)
}

/// A number `[1, 1]` for each row of `x`, `[n, 1]`.
fn column(graph: &Builder, x: &Value, number: &Value) -> Value {
    x.columns(0, 1).linear(&graph.zeros(1), Some(number))
}

runtime_plugin_sdk::export!(ARCHITECTURE);
