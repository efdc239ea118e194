//! Phi-3 (<https://arxiv.org/abs/2404.14219>): Llama with joined products, with the names and defaults of transformers'
//! `modeling_phi3.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, HEADS, window, windows};

/// Phi-3 decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "phi3", model_types: &["phi3"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::read(config)?;
    let windows = windows(config, decoder.layers, window(config, None)?, |_| true)?;
    Decoder { windows, joined: true, ..decoder }.build(graph, head);
    Ok(())
}
