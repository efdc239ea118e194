//! The built-in `mistral` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::mistral::ARCHITECTURE);
