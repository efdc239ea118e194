//! A transformer as a graph of typed operators, described once by an architecture.
//!
//! An architecture receives a [`Config`] and a [`Builder`], names weights and wires operators:
//!
//! ```
//! use runtime_graph::{Activation, Builder, Catalog, DType, Norm};
//!
//! let catalog = Catalog::new([("up.weight", vec![8, 4], DType::F32), ("up.bias", vec![8], DType::F32)], "");
//! let (builder, recording) = Builder::native("example", catalog);
//! let x = builder.table("up.weight").rows(&builder.token_ids());
//! let x = builder.linear("up").forward(&x).activation(Activation::Gelu);
//! builder.output("hidden_states", &x);
//! let graph = recording.finish()?;
//! assert!(graph.to_string().contains("activation gelu"));
//! # Ok::<(), runtime_graph::GraphError>(())
//! ```
//!
//! What is recorded is a [`Graph`]: nodes in order of computation, each with a checked [`Shape`]. Sizes are fixed but
//! for four symbols: `n` tokens, `m` tokens of sources, `s` sequences, `r` rows asked for. The same authors' API records natively or, through
//! another [`Recorder`], from inside a WebAssembly guest. There is no device here and no input or output.

mod architecture;
mod builder;
mod catalog;
mod composed;
mod config;
mod error;
mod graph;
mod infer;
mod layers;
mod op;
mod recording;
mod relative;
mod rope;
mod rotary;
mod shape;
mod text;

pub use architecture::{Architecture, Head};
pub use builder::{Builder, Place, Positions, Recorder, Value};
pub use catalog::{Catalog, DType, TensorInfo};
pub use config::{Config, Refusal};
pub use error::{Fault, GraphError};
pub use graph::{Graph, Node, Output, ValueId};
pub use layers::{Embedding, Expert, Linear, Norm};
pub use op::{Activation, AttentionOptions, Binary, CrossAttentionOptions, ExpertsOptions, Input, Op, Pooling};
pub use recording::{MAX_LAYERS, MAX_NODES, NativeRecording, Recording};
pub use relative::{Relative, alibi_slopes, bias_row, disentangled_row};
pub use rope::Rope;
pub use rotary::Rotary;
pub use shape::{Dim, Element, Shape};
