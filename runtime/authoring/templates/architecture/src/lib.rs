//! {{name}}: how models of this `model_type` are wired.
//!
//! What stands here is a decoder in the manner of Llama, to be changed into the one that is ported. The graph is recorded
//! once, while a model loads; the host runs it, and keeps keys, values and states between runs.

use runtime_plugin_sdk::{Activation, Architecture, AttentionOptions, Builder, Config, Head, Refusal, Rope, Value};

/// What the plugin exports.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "{{name}}",
    // The values of `model_type` in `config.json` that it is for.
    model_types: &["{{name}}"],
    // The class's `base_model_prefix`: it begins the names of tensors, and checkpoints without a head leave it out.
    base_prefix: "model",
    heads: &[Head::Base, Head::CausalLm],
    build,
};

runtime_plugin_sdk::export!(ARCHITECTURE);

/// The fields of `config.json`, with the defaults of the original's configuration class.
struct Settings {
    layers: u32,
    heads: u32,
    key_value_heads: u32,
    epsilon: f64,
    rope: Rope,
    activation: Activation,
    tied: bool,
}

impl Settings {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let heads = config.size_or("num_attention_heads", 32)?;
        let head_size = config.size_or("head_dim", config.size_or("hidden_size", 4096)? / heads)?;
        let positions = config.size_or("max_position_embeddings", 2048)?;
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", 32)?,
            heads,
            key_value_heads: config.size_or("num_key_value_heads", heads)?,
            epsilon: config.number_or("rms_norm_eps", 1e-6)?,
            rope: Rope::read(config, head_size, positions, 10_000.0)?,
            activation: config.activation_or("hidden_act", Activation::Silu)?,
            tied: config.flag_or("tie_word_embeddings", false)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let settings = Settings::read(config)?;
    // Frequencies may be for texts of some length alone.
    settings.rope.limit.into_iter().for_each(|tokens| graph.max_sequence(tokens));
    let mut x = graph.embedding("model.embed_tokens").rows(&graph.token_ids());
    for index in 0..settings.layers {
        x = graph.layer(index, |graph| layer(graph, &settings, &format!("model.layers.{index}"), &x));
    }
    let norm = |x: &Value| x.rms_norm(&graph.tensor("model.norm.weight"), settings.epsilon);
    let output = match head {
        Head::CausalLm => {
            let name = if settings.tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
            // The rows that are asked for, which are few, before the widest product.
            norm(&x.select_rows()).linear(&graph.tensor(name), None)
        }
        _ => norm(&x),
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// One layer: `[n, hidden]` to `[n, hidden]`.
fn layer(graph: &Builder, settings: &Settings, name: &str, x: &Value) -> Value {
    let linear = |part: &str, x: &Value| graph.linear_no_bias(&format!("{name}.{part}")).forward(x);
    let norm = |part: &str, x: &Value| x.rms_norm(&graph.tensor(&format!("{name}.{part}.weight")), settings.epsilon);

    let normed = norm("input_layernorm", x);
    let query = linear("self_attn.q_proj", &normed).rotary(&settings.rope.rotary);
    let key = linear("self_attn.k_proj", &normed).rotary(&settings.rope.rotary);
    let value = linear("self_attn.v_proj", &normed);
    let options = AttentionOptions::causal(settings.heads, settings.key_value_heads);
    let attended = query.attention(&key, &value, options);
    let x = x + &linear("self_attn.o_proj", &attended);

    let normed = norm("post_attention_layernorm", &x);
    let gate = linear("mlp.gate_proj", &normed).activation(settings.activation);
    let inner = &gate * &linear("mlp.up_proj", &normed);
    &x + &linear("mlp.down_proj", &inner)
}

#[cfg(test)]
mod tests {
    use runtime_plugin_sdk::{Catalog, DType, Dim, Graph, Op, Shape};

    use super::*;

    /// The graph of a tiny model, recorded natively.
    fn graph(head: Head) -> Graph {
        let config = r#"{"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2}"#;
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), vec![16, 8]),
            ("model.norm.weight".to_owned(), vec![8]),
            ("lm_head.weight".to_owned(), vec![16, 8]),
        ];
        for index in 0..2 {
            for part in ["q_proj", "k_proj", "v_proj", "o_proj"] {
                tensors.push((format!("model.layers.{index}.self_attn.{part}.weight"), vec![8, 8]));
            }
            for (part, shape) in [("gate_proj", [24, 8]), ("up_proj", [24, 8]), ("down_proj", [8, 24])] {
                tensors.push((format!("model.layers.{index}.mlp.{part}.weight"), shape.to_vec()));
            }
            for part in ["input_layernorm", "post_attention_layernorm"] {
                tensors.push((format!("model.layers.{index}.{part}.weight"), vec![8]));
            }
        }
        let tensors = tensors.into_iter().map(|(name, shape)| (name, shape, DType::F32));
        let (builder, recording) = Builder::native(ARCHITECTURE.name, Catalog::new(tensors, ARCHITECTURE.base_prefix));
        build(&builder, &config.parse().expect("it is an object"), head).expect("the configuration is understood");
        recording.finish().unwrap_or_else(|error| panic!("the graph is not sound: {error}"))
    }

    #[test]
    fn each_head_has_its_output() {
        for (head, width) in [(Head::Base, 8), (Head::CausalLm, 16)] {
            let graph = graph(head);
            let output = graph.output(head.output()).expect("it is there");
            assert_eq!(graph.node(output).shape, Shape::matrix(head.rows(), width));
        }
    }

    #[test]
    fn each_layer_attends_once() {
        let graph = graph(Head::Base);
        let attends = graph.nodes.iter().filter(|node| matches!(node.op, Op::Attention(_)));
        assert_eq!(attends.map(|node| node.layer).collect::<Vec<_>>(), [Some(0), Some(1)]);
        assert!(graph.nodes.iter().any(|node| node.shape == Shape::matrix(Dim::Tokens, 24)), "and has an inner layer");
    }
}
