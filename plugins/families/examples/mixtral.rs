//! The built-in `mixtral` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::mixtral::ARCHITECTURE);
