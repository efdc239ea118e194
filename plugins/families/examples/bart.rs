//! The built-in `bart` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::bart::ARCHITECTURE);
