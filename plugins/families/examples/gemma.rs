//! The built-in `gemma` as a plugin.

runtime_plugin_sdk::export!(runtime_architectures::gemma::ARCHITECTURE);
