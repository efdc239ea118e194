//! The built-in `gpt2` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::gpt2::ARCHITECTURE);
