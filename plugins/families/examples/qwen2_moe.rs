//! The built-in `qwen2_moe` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::qwen2_moe::ARCHITECTURE);
