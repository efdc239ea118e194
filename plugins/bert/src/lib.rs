//! The built-in BERT as a plugin: the same file, compiled against the plugin interface.

runtime_plugin_sdk::export!(runtime_architectures::bert::ARCHITECTURE);
