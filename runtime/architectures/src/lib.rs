//! The built-in architectures, one file per family, each written against the graph API alone.
//!
//! The same file compiled for a WebAssembly guest is a plugin: see `plugins/bert`.

pub mod bert;

use runtime_graph::Architecture;

/// All that is built in.
pub const BUILT_IN: &[Architecture] = &[bert::ARCHITECTURE];

/// The built-in architecture for a `model_type` of `config.json`.
pub fn find(model_type: &str) -> Option<&'static Architecture> {
    BUILT_IN.iter().find(|architecture| architecture.model_types.contains(&model_type))
}
