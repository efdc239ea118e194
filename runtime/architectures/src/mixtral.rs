//! Mixtral (<https://arxiv.org/abs/2401.04088>): Mistral with experts in each layer, with the names and defaults of
//! transformers' `modeling_mixtral.py`.

use runtime_graph::{Architecture, Builder, Config, ExpertsOptions, Head, Refusal};

use crate::decoder::{Decoder, Defaults, HEADS, window};
use crate::experts::{Experts, number};

/// Mixtral decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "mixtral", model_types: &["mixtral"], base_prefix: "model", heads: &HEADS, build };

const DEFAULTS: Defaults =
    Defaults { key_value_heads: Some(8), positions: 4096 * 32, epsilon: 1e-5, theta: 1_000_000.0, ..Defaults::LLAMA };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::with_defaults(config, &DEFAULTS)?;
    // `layer_types` says nothing here: all layers have the window, or none.
    let windows = vec![window(config, None)?; decoder.layers as usize];
    let experts = Experts {
        count: number(config, 8)?,
        options: ExpertsOptions {
            top_k: config.size_or("num_experts_per_tok", 2)?,
            normalise: true,
            activation: decoder.activation,
        },
        layers: vec![true; decoder.layers as usize],
        shared: false,
    };
    Decoder { windows, experts: Some(experts), ..decoder }.build(graph, head);
    Ok(())
}
