//! Plugins that misbehave, one example each; `tests/sandbox.rs` says what must come of each.

use runtime_plugin_sdk::{Architecture, Builder, Config, Head, Refusal};

/// An architecture that is well described and misbehaves in `build`.
pub const fn guest(build: fn(&Builder, &Config, Head) -> Result<(), Refusal>) -> Architecture {
    Architecture { name: "guest", model_types: &["guest"], base_prefix: "", heads: &[Head::Base], build }
}
