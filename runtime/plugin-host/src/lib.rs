//! Runs plugins: WebAssembly components that describe an architecture.
//!
//! [`PluginHost::load`] compiles a component, or takes the compiled code from a cache, refuses it where it imports
//! anything beside the plugin interface, and asks it to describe itself. [`Plugin::build`] then calls it once for a
//! model and returns the [`Graph`](runtime_graph::Graph) that it recorded; the plugin is not needed to run the model.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use runtime_graph::{Catalog, DType, Head};
//! use runtime_plugin_host::{Limits, PluginHost};
//!
//! let host = PluginHost::new(None, Limits::default())?;
//! let plugin = host.load(Path::new("architecture.wasm"))?;
//! let tensors = [("words.weight", vec![30522, 384], DType::F16)];
//! let catalog = Catalog::new(tensors, &plugin.description().base_prefix);
//! println!("{}", plugin.build("{}", Head::Base, catalog)?);
//! # Ok::<(), runtime_plugin_host::Error>(())
//! ```
//!
//! A plugin is not trusted. It gets a graph builder and nothing else: no files, network, clock, randomness or
//! environment. Each call starts from a fresh instance, bounded by [`Limits`]; the first misuse ends it, and the
//! [`Error`] names the plugin, its version and its function. What is not bounded is the time to compile, but by the
//! size of the file. The cache holds native code and must be a folder that nobody else can write; compiled code from
//! anywhere else is never loaded.
//!
//! One module holds each version of the interface (`wit/`), such as `v0_1`; the rest knows none.

mod blame;
mod clock;
mod component;
mod description;
mod engine;
mod error;
mod granted;
mod host;
mod inspection;
mod limits;
mod logits_processor;
mod plugin;
mod records;
mod sandbox;
mod state;
mod step;
mod step_description;
mod text;
mod v0_1;
mod wasi;
mod world;

pub use component::PluginFile;
pub use description::Description;
pub use error::{Cause, Error, Site};
pub use granted::Granted;
pub use host::{
    Answer, Completion, CompletionStream, Failure, Level, Prompt, Role, StepHost, TextHost, Token, Vocabulary,
};
pub use inspection::{Described, Inspection};
pub use limits::Limits;
pub use logits_processor::{LogitsDescription, LogitsPlugin, Processor};
pub use plugin::{Plugin, PluginHost};
pub use records::{Fields, Kind, Misfit, Slot};
pub use step::{Step, StepPlugin};
pub use step_description::{ModelNeed, StepDescription, TokenizerNeed};
pub use world::World;
