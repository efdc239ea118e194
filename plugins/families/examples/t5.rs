//! The built-in `t5` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::t5::ARCHITECTURE);
