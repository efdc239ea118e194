//! The built-in `phi3` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::phi3::ARCHITECTURE);
