//! The built-in `distilbert` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::distilbert::ARCHITECTURE);
