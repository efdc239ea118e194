//! What a plugin in Rust is written with: the graph API over the plugin interface, and [`export!`].
//!
//! A plugin is a `cdylib` for the target `wasm32-wasip2` that exports an [`Architecture`]:
//!
//! ```
//! use runtime_plugin_sdk::{Architecture, Builder, Config, Head, Refusal};
//!
//! const ARCHITECTURE: Architecture =
//!     Architecture { name: "bag", model_types: &["bag"], base_prefix: "", heads: &[Head::Base], build };
//!
//! fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
//!     graph.output("hidden_states", &graph.embedding("words").rows(&graph.token_ids()));
//!     Ok(())
//! }
//!
//! runtime_plugin_sdk::export!(ARCHITECTURE);
//! ```
//!
//! The same names come from `runtime_graph` natively, so that one file can be built in and be a plugin. A misuse of the
//! graph ends the plugin at once, and the host says in which of its functions. Compiled for another target the crate
//! type-checks, and whatever would call the host panics.

mod host;
pub mod logits;
mod recorder;
mod records;
pub mod step;
pub mod wit;

use std::rc::Rc;

pub use host::*;
pub use records::{Fields, Kind, Slot};
pub use runtime_graph::*;
pub use serde_json;

use recorder::HostGraph;

/// Makes an [`Architecture`] what this `cdylib` exports, under the version of its package.
#[macro_export]
macro_rules! export {
    ($architecture:expr) => {
        const _: () = {
            struct Plugin;

            impl $crate::wit::Guest for Plugin {
                fn describe() -> $crate::wit::Description {
                    $crate::describe(&$architecture, env!("CARGO_PKG_VERSION"))
                }

                fn build(config: String, head: $crate::wit::Head) -> Result<(), $crate::wit::Refusal> {
                    $crate::build(&$architecture, &config, head)
                }
            }

    $crate::wit::export!(Plugin with_types_in $crate::wit);
        };
    };
}

#[doc(hidden)]
pub fn describe(architecture: &Architecture, version: &str) -> wit::Description {
    wit::Description {
        name: architecture.name.to_owned(),
        version: version.to_owned(),
        model_types: architecture.model_types.iter().map(|&model_type| model_type.to_owned()).collect(),
        base_prefix: architecture.base_prefix.to_owned(),
        heads: architecture.heads.iter().map(|&head| head.into()).collect(),
    }
}

#[doc(hidden)]
pub fn build(architecture: &Architecture, config: &str, head: wit::Head) -> Result<(), wit::Refusal> {
    let config = config.parse::<Config>()?;
    Ok((architecture.build)(&Builder::over(Rc::new(HostGraph::default())), &config, head.into())?)
}
