//! The built-in `qwen3_moe` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::qwen3_moe::ARCHITECTURE);
