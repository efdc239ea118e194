//! The built-in `deberta_v2` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::deberta_v2::ARCHITECTURE);
