//! The built-in `roberta` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::roberta::ARCHITECTURE);
