//! The bindings of `wit/v0.1`, for what the graph API does not offer.

#![expect(missing_docs, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/v0.1",
    world: "architecture",
    pub_export_macro: true,
    default_bindings_module: "runtime_plugin_sdk::wit",
});
