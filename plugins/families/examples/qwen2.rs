//! The built-in `qwen2` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::qwen2::ARCHITECTURE);
