//! The built-in architectures, one file per family, each written against the graph API alone.
//!
//! What families have in common is here once: [`post_norm`](self) layers, heads, and the fields of `config.json`.
//! The same files compiled for a WebAssembly guest are plugins: see `plugins/`.

pub mod albert;
pub mod bart;
pub mod bert;
pub mod deberta_v2;
pub mod distilbert;
pub mod electra;
pub mod gemma;
pub mod gpt2;
pub mod llama;
pub mod marian;
pub mod mbart;
pub mod mistral;
pub mod mixtral;
pub mod modernbert;
pub mod mpnet;
pub mod pegasus;
pub mod phi3;
pub mod qwen2;
pub mod qwen2_moe;
pub mod qwen3;
pub mod qwen3_moe;
pub mod roberta;
pub mod t5;

mod decoder;
mod encoder;
mod experts;
mod heads;
mod seq2seq;

use runtime_graph::Architecture;

/// All that is built in.
pub const BUILT_IN: &[Architecture] = &[
    albert::ARCHITECTURE,
    bart::ARCHITECTURE,
    bert::ARCHITECTURE,
    deberta_v2::ARCHITECTURE,
    distilbert::ARCHITECTURE,
    electra::ARCHITECTURE,
    gemma::ARCHITECTURE,
    gpt2::ARCHITECTURE,
    llama::ARCHITECTURE,
    marian::ARCHITECTURE,
    mbart::ARCHITECTURE,
    mistral::ARCHITECTURE,
    mixtral::ARCHITECTURE,
    modernbert::ARCHITECTURE,
    mpnet::ARCHITECTURE,
    pegasus::ARCHITECTURE,
    phi3::ARCHITECTURE,
    qwen2::ARCHITECTURE,
    qwen2_moe::ARCHITECTURE,
    qwen3::ARCHITECTURE,
    qwen3_moe::ARCHITECTURE,
    roberta::ARCHITECTURE,
    t5::ARCHITECTURE,
];

/// The built-in architecture for a `model_type` of `config.json`.
pub fn find(model_type: &str) -> Option<&'static Architecture> {
    BUILT_IN.iter().find(|architecture| architecture.model_types.contains(&model_type))
}
