//! Mistral (<https://arxiv.org/abs/2310.06825>): Llama with a window, with the names and defaults of transformers'
//! `modeling_mistral.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::decoder::{Decoder, HEADS, window, windows};

/// Mistral decoders.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "mistral", model_types: &["mistral"], base_prefix: "model", heads: &HEADS, build };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    let decoder = Decoder::read(config)?;
    let windows = windows(config, decoder.layers, window(config, Some(4096))?, |_| true)?;
    Decoder { windows, ..decoder }.build(graph, head);
    Ok(())
}
