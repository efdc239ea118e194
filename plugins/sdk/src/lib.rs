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
//! # From PyTorch
//!
//! A value has a row for each token of all texts of a batch, one after the other: there is no batch dimension and no padding,
//! so that neither an attention mask nor `past_key_values` is described. Heads lie side by side in a row, `[n, heads * d]`.
//!
//! | in `modeling_*.py` | here |
//! | --- | --- |
//! | `nn.Embedding`, `nn.Linear`, `nn.LayerNorm` | [`Builder::embedding`], [`Builder::linear`], [`Builder::norm`] by their names in the checkpoint, then `rows` or `forward` |
//! | an RMS norm, also of each head apart | [`Value::rms_norm`] with a weight as long as the row, or as a head |
//! | a norm with `elementwise_affine=False` | the same with [`Builder::ones`] for the weight |
//! | `x.view(.., heads, d).transpose(1, 2)` and back | nothing: operators are told the number of heads |
//! | `x.chunk(2, dim=-1)`; of heads, `x.chunk(2, dim=1)` | [`Value::split`], and [`Value::columns`] for parts of other widths |
//! | `torch.cat([a, b], dim=-1)`; of each head | [`Value::join`] with 1 part; with as many parts as heads |
//! | `a - b`, `a / 3` | `&a + &b.scale(-1.0)`, `a.scale(1.0 / 3.0)` |
//! | `a * gate` where `gate` is `[.., 1]` | `&a * &gate`, of a gate `[n, 1]` |
//! | `apply_rotary_pos_emb`, `rope_parameters` | [`Rope::read`], then [`Value::rotary`] of queries and keys |
//! | attention, eager or SDPA, with `repeat_kv` | [`Value::attention`], with as many key and value heads as there are |
//! | ALiBi, in both directions or causal | [`Value::attention_alibi`], with slopes of [`alibi_slopes`] |
//! | `torch.tensor([..])` of numbers that no checkpoint has | [`Builder::constant`] |
//! | `nn.Conv1d` with padding on both sides, or on the left | [`Value::convolution`], [`Value::causal_convolution`], without turning `x` round |
//! | `nn.Parameter` of one number or vector | [`Builder::tensor`]; what is computed of weights alone is computed once |
//! | `hidden_states[:, 0]` | [`Value::pool`] with [`Pooling::First`] |
//! | `lm_head(hidden_states)` | [`Value::select_rows`] first: only some rows are asked for |
//! | tied weights | [`Builder::first_tensor`] with both names |
//!
//! Two recipes for what has no operator of its own. A vector `[w]` becomes a row `[1, w]`, which products and sums of weights
//! take: `graph.ones(w).rms_norm(&vector, 0.0)`. A number `[1, 1]` becomes a column `[n, 1]`, which scales rows:
//! `x.columns(0, 1).linear(&graph.zeros(1), Some(&number))`.
//!
//! # One file, built in or not
//!
//! The same names come from `runtime_graph` natively, so that one file can be built in and be a plugin. A misuse of the
//! graph ends the plugin at once, and the host says in which of its functions. Compiled for another target the crate
//! type-checks, and whatever would call the host panics.

mod host;
pub mod logits;
mod recorder;
mod records;
pub mod step;
mod vocabulary;
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
