//! The built-in `electra` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::electra::ARCHITECTURE);
