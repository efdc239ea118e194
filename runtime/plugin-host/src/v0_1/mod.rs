//! `inference:runtime@0.1`, which is `wit/v0.1`: a module for each world, and one for what worlds share.

pub(crate) mod architecture;
pub(crate) mod logits;
mod shared;
pub(crate) mod step;

use wasmtime::Engine;
use wasmtime::component::types::{Component, ComponentItem};

use crate::World;

/// Whether an interface, such as `graph@0.1.0`, is of this version. A later patch may add to it, not change it.
pub(crate) fn has(interface: &str) -> bool {
    interface.split_once('@').is_some_and(|(_, version)| version.starts_with("0.1."))
}

/// What a component is, by what it exports.
pub(crate) fn world(component: &Component, engine: &Engine) -> Option<World> {
    component.exports(engine).find_map(|(export, definition)| {
        let interface = export.strip_prefix("inference:runtime/").filter(|interface| has(interface));
        match interface.and_then(|interface| interface.split_once('@')) {
            Some(("step-processing", _)) => Some(World::Step),
            Some(("logits-processing", _)) => Some(World::LogitsProcessor),
            _ => (export == "build" && matches!(definition.ty, ComponentItem::ComponentFunc(_)))
                .then_some(World::Architecture),
        }
    })
}
