//! The built-in `marian` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::marian::ARCHITECTURE);
