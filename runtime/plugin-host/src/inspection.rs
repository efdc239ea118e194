//! What can be told of a plugin's file.

use wasmtime::Engine;

use crate::component::Compiled;
use crate::{Description, LogitsDescription, StepDescription, World, text};

/// What a plugin's file is.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What kind of plugin it is.
    pub world: World,
    /// Bytes of the file.
    pub size: u64,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub digest: String,
    /// The interfaces of `inference:runtime` that it imports, with their version.
    pub imports: Vec<String>,
    /// The interfaces of WASI that its compiler put in; calls of these end the plugin, but for what start-up and panic
    /// handlers need.
    pub denied: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it says of itself.
    pub described: Described,
}

/// What a plugin says of itself.
#[derive(Clone, Debug)]
pub enum Described {
    /// One that describes models.
    Architecture(Description),
    /// One that is a step of pipelines.
    Step(StepDescription),
    /// One that changes scores.
    LogitsProcessor(LogitsDescription),
}

impl Inspection {
    pub(crate) fn new(compiled: &Compiled, engine: &Engine, described: Described) -> Self {
        let kind = compiled.component.component_type();
        let imports = kind.imports(engine).map(|(import, _)| text::printable(import));
        let (denied, imports) = imports.partition(|import| import.starts_with("wasi:"));
        Self {
            world: compiled.world,
            size: compiled.size,
            digest: compiled.digest.clone(),
            imports,
            denied,
            exports: kind.exports(engine).map(|(export, _)| text::printable(export)).collect(),
            described,
        }
    }
}
