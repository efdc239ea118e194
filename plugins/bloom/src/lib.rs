//! BLOOM, with the names and defaults of transformers' `modeling_bloom.py`.
//!
//! Nothing is added to the embeddings for a token's position. Instead each head takes from its scores the distance between two
//! tokens times a slope of its own (ALiBi, [Press et al., 2022](https://arxiv.org/abs/2108.12409)). Queries, keys and values
//! come of one product, in which they lie side by side for each head.

use runtime_plugin_sdk::{
    Activation, Architecture, AttentionOptions, Builder, Config, Head, Linear, Refusal, Value, alibi_slopes,
};

/// BLOOM decoders.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "bloom",
    model_types: &["bloom"],
    base_prefix: "transformer",
    heads: &[Head::Base, Head::CausalLm],
    build,
};

struct BloomConfig {
    layers: u32,
    heads: u32,
    epsilon: f64,
    /// Whether what is added to is what the norms gave, not what they took.
    normed_residual: bool,
    tied: bool,
}

impl BloomConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        // That form sums the products of slices, and leaves their biases out.
        if config.flag_or("slow_but_exact", false)? && config.size_or("pretraining_tp", 1)? > 1 {
            return Err(Refusal::unsupported("slow_but_exact", true, "`false`"));
        }
        let heads = config.size_or("n_head", config.size_or("num_attention_heads", 8)?)?;
        if !config.size_or("n_embed", config.size_or("hidden_size", 64)?)?.is_multiple_of(heads) {
            return Err(Refusal::unsupported("n_head", heads, "a divisor of `hidden_size`"));
        }
        Ok(Self {
            heads,
            layers: config.layers_or("n_layer", config.layers_or("num_hidden_layers", 2)?)?,
            epsilon: config.number_or("layer_norm_epsilon", 1e-5)?,
            normed_residual: config.flag_or("apply_residual_connection_post_layernorm", false)?,
            tied: config.flag_or("tie_word_embeddings", true)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = BloomConfig::read(config)?;
    let slopes = graph.constant(alibi_slopes(config.heads, 8.0));
    let norm = |part: &str, x: &Value| graph.norm(&format!("transformer.{part}"), config.epsilon).forward(x);
    let embedded = graph.embedding("transformer.word_embeddings").rows(&graph.token_ids());
    let mut x = norm("word_embeddings_layernorm", &embedded);
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, &format!("transformer.h.{index}"), &slopes, &x));
    }
    let output = match head {
        Head::CausalLm => {
            let name = if config.tied { "transformer.word_embeddings.weight" } else { "lm_head.weight" };
            norm("ln_f", &x.select_rows()).linear(&graph.tensor(name), None)
        }
        _ => norm("ln_f", &x),
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// One layer: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &BloomConfig, name: &str, slopes: &Value, x: &Value) -> Value {
    let norm = |part: &str, x: &Value| graph.norm(&format!("{name}.{part}"), config.epsilon).forward(x);
    let linear = |part: &str, x: &Value| graph.linear(&format!("{name}.{part}")).forward(x);
    let residual = |x: &Value, normed: &Value| if config.normed_residual { normed.clone() } else { x.clone() };

    let normed = norm("input_layernorm", x);
    let fused = graph.linear(&format!("{name}.self_attention.query_key_value"));
    let [query, key, value] = apart(graph, &fused, config.heads).map(|part| part.forward(&normed));
    let options = AttentionOptions::causal(config.heads, config.heads);
    let attended = query.attention_alibi(&key, &value, slopes, options);
    let x = &residual(x, &normed) + &linear("self_attention.dense", &attended);

    let normed = norm("post_attention_layernorm", &x);
    let inner = linear("mlp.dense_h_to_4h", &normed).activation(Activation::GeluTanh);
    &residual(&x, &normed) + &linear("mlp.dense_4h_to_h", &inner)
}

/// A product that gives query, key and value of each head in turn, as one for all queries, one for all keys and one for all
/// values. The weights are rearranged once, when the model is loaded.
fn apart(graph: &Builder, fused: &Linear, heads: u32) -> [Linear; 3] {
    let weights: [Value; 3] = fused.weight.transpose().split_each(heads);
    let biases: Option<[Value; 3]> = fused.bias.as_ref().map(|bias| graph.row(bias).split_each(heads));
    let mut biases = biases.into_iter().flatten();
    weights.map(|weight| Linear { weight: weight.transpose(), bias: biases.next() })
}

runtime_plugin_sdk::export!(ARCHITECTURE);
