//! The built-in `modernbert` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::modernbert::ARCHITECTURE);
