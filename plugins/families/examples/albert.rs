//! The built-in `albert` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::albert::ARCHITECTURE);
