//! The built-in `llama` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::llama::ARCHITECTURE);
