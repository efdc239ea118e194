//! The built-in `qwen3` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::qwen3::ARCHITECTURE);
