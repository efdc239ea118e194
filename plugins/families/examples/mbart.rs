//! The built-in `mbart` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::mbart::ARCHITECTURE);
