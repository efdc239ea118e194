//! GPT-2, with the names and defaults of transformers' `modeling_gpt2.py`: learned positions, joined products whose weights
//! are stored `[inputs, outputs]`, but with `transposed_weights` in the configuration (that of a GGUF file) the other way.

use runtime_graph::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Refusal, Value};

use crate::decoder::HEADS;

/// GPT-2 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "gpt2", model_types: &["gpt2"], base_prefix: "transformer", heads: &HEADS, build };

struct Gpt2Config {
    layers: u32,
    heads: u32,
    epsilon: f64,
    activation: Activation,
    scaled: bool,
    scaled_by_layer: bool,
    transposed_weights: bool,
}

impl Gpt2Config {
    fn read(config: &Config) -> Result<Self, Refusal> {
        Ok(Self {
            layers: config.layers_or("n_layer", 12)?,
            heads: config.size_or("n_head", 12)?,
            epsilon: config.number_or("layer_norm_epsilon", 1e-5)?,
            activation: config.activation_or("activation_function", Activation::GeluTanh)?,
            scaled: config.flag_or("scale_attn_weights", true)?,
            scaled_by_layer: config.flag_or("scale_attn_by_inverse_layer_idx", false)?,
            transposed_weights: config.flag_or("transposed_weights", false)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let max_positions = config.size_or("n_positions", 1024)?;
    let tied = config.flag_or("tie_word_embeddings", true)?;
    let config = Gpt2Config::read(config)?;
    graph.max_sequence(max_positions);
    let table = graph.tensor("transformer.wte.weight");
    let positions = graph.tensor("transformer.wpe.weight").rows(&graph.positions(0));
    let mut x = &table.rows(&graph.token_ids()) + &positions;
    for index in 0..config.layers {
        x = graph.layer(index, |graph| layer(graph, &config, index, &x));
    }
    let norm = |x: &Value| graph.norm("transformer.ln_f", config.epsilon).forward(x);
    let output = match head {
        Head::CausalLm => {
            let tied = tied && graph.find("lm_head.weight").is_none();
            let weight = if tied { table } else { graph.tensor("lm_head.weight") };
            norm(&x.select_rows()).linear(&weight, None)
        }
        _ => norm(&x),
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// Attention and feed-forward, each over a norm and added to its input: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, config: &Gpt2Config, index: u32, x: &Value) -> Value {
    let name = |part: &str| format!("transformer.h.{index}.{part}");
    let linear = |part: &str, x: &Value| {
        let weight = graph.tensor(&format!("{}.weight", name(part)));
        let weight = if config.transposed_weights { weight } else { weight.transpose() };
        x.linear(&weight, Some(&graph.tensor(&format!("{}.bias", name(part)))))
    };
    let norm = |part: &str, x: &Value| graph.norm(&name(part), config.epsilon).forward(x);

    let [query, key, value] = linear("attn.c_attn", &norm("ln_1", x)).split();
    let head_size = f64::from(query.shape().width().unwrap_or(1) / config.heads);
    let scale = if config.scaled { head_size.powf(-0.5) } else { 1.0 };
    let scale = if config.scaled_by_layer { scale / f64::from(index + 1) } else { scale };
    let options = AttentionOptions { scale: Some(scale), ..AttentionOptions::causal(config.heads, config.heads) };
    let x = x + &linear("attn.c_proj", &query.attention(&key, &value, options));

    let inner = linear("mlp.c_fc", &norm("ln_2", &x)).activation(config.activation);
    &x + &linear("mlp.c_proj", &inner)
}
