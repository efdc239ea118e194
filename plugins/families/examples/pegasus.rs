//! The built-in `pegasus` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::pegasus::ARCHITECTURE);
