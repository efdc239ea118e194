//! The built-in `mpnet` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::mpnet::ARCHITECTURE);
