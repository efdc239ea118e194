//! A model folder, as published on a hub: configuration, weights, tokenizer, and how they become a [`Model`].
//!
//! Nothing in a folder is code: weights are safetensors, and a pickle or a Python file named by `auto_map` is refused.
//! Where the folder came from is the concern of `runtime-hub`; who describes the graph, of the caller.

mod adapter;
mod checkpoint;
mod config;
mod data_file;
mod error;
mod experts;
mod folder;
mod gguf;
mod merge;
mod model;
mod safetensors;
mod tokenizer;

pub use adapter::{Adapted, Adapter};
pub use checkpoint::Checkpoint;
pub use config::{Labels, ModelConfig};
pub use error::Error;
pub use folder::{ModelFolder, PLUGIN_FILE, read_text};
pub use gguf::GgufError;
pub use merge::{Merged, merge};
pub use model::{Describe, Model};
pub use tokenizer::{
    Arguments, EncodeOptions, Encoding, PadOptions, Padding, Pieces, Sequence, Side, Special, Text, TokenBytes,
    Tokenizer, Truncation, detokenize_call, tokenize_call,
};
