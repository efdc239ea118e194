//! Mamba, an architecture without attention, with the names and defaults of transformers' `modeling_mamba.py`.
//!
//! Of what came before a token, a layer sees the last inputs of a convolution and a state that each token changes by how much
//! it wants to ([Gu and Dao, 2023](https://arxiv.org/abs/2312.00752)). Both are the host's to keep: the graph says what is
//! computed of a sequence from its start.

use runtime_plugin_sdk::{Activation, Architecture, Builder, Config, Head, Refusal, Value};

/// Mamba decoders.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "mamba",
    model_types: &["mamba"],
    base_prefix: "backbone",
    heads: &[Head::Base, Head::CausalLm],
    build,
};

struct MambaConfig {
    layers: u32,
    epsilon: f64,
    activation: Activation,
    /// Numbers of a column's state.
    states: u32,
    /// Numbers from which the step sizes of all columns are computed.
    time_step_rank: u32,
    /// Whether the products before and after the recurrence have biases.
    biases: bool,
    convolution_bias: bool,
    tied: bool,
}

impl MambaConfig {
    fn read(config: &Config) -> Result<Self, Refusal> {
        let automatic = || Ok(config.size_or("hidden_size", 768)?.div_ceil(16));
        let time_step_rank = match config.get("time_step_rank").map(|rank| rank.as_str()) {
            None | Some(Some("auto")) => automatic(),
            Some(_) => config.size("time_step_rank"),
        };
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", 32)?,
            epsilon: config.number_or("layer_norm_epsilon", 1e-5)?,
            activation: config.activation_or("hidden_act", Activation::Silu)?,
            states: config.size_or("state_size", 16)?,
            time_step_rank: time_step_rank?,
            biases: config.flag_or("use_bias", false)?,
            convolution_bias: config.flag_or("use_conv_bias", true)?,
            tied: config.flag_or("tie_word_embeddings", true)?,
        })
    }
}

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let config = MambaConfig::read(config)?;
    let table = graph.embedding("backbone.embeddings");
    let mut x = table.rows(&graph.token_ids());
    for index in 0..config.layers {
        x = graph.layer(index, |graph| &x + &mixer(graph, &config, index, &x));
    }
    let norm = |x: &Value| x.rms_norm(&graph.tensor("backbone.norm_f.weight"), config.epsilon);
    let output = match head {
        Head::CausalLm => {
            let tied = config.tied && graph.find("lm_head.weight").is_none();
            let weight = if tied { graph.tensor("backbone.embeddings.weight") } else { graph.tensor("lm_head.weight") };
            norm(&x.select_rows()).linear(&weight, None)
        }
        _ => norm(&x),
    };
    graph.output(head.output(), &output);
    Ok(())
}

/// The recurrence over a norm, between two products and gated: `[n, hidden]` to `[n, hidden]`.
fn mixer(graph: &Builder, config: &MambaConfig, index: u32, x: &Value) -> Value {
    let layer = format!("backbone.layers.{index}");
    let name = |part: &str| format!("{layer}.mixer.{part}");
    let product = |part: &str, x: &Value| match config.biases {
        true => graph.linear(&name(part)).forward(x),
        false => graph.linear_no_bias(&name(part)).forward(x),
    };

    let x = x.rms_norm(&graph.tensor(&format!("{layer}.norm.weight")), config.epsilon);
    let [x, gate] = product("in_proj", &x).split();
    let bias = config.convolution_bias.then(|| graph.tensor(&name("conv1d.bias")));
    let x = x.causal_convolution(&graph.tensor(&name("conv1d.weight")), bias.as_ref()).activation(config.activation);

    // How long a step each column takes, what each token writes into the state, and what it reads of it.
    let selected = graph.linear_no_bias(&name("x_proj")).forward(&x);
    let (rank, states) = (config.time_step_rank, config.states);
    let step = graph.linear(&name("dt_proj")).forward(&selected.columns(0, rank)).activation(Activation::Softplus);
    let (write, read) = (selected.columns(rank, states), selected.columns(rank + states, states));
    let decay = graph.tensor(&name("A_log")).activation(Activation::Exp).scale(-1.0);
    let y = x.selective_scan(&step, &decay, &write, &read, Some(&graph.tensor(&name("D"))));
    product("out_proj", &(&y * &gate.activation(Activation::Silu)))
}

runtime_plugin_sdk::export!(ARCHITECTURE);
