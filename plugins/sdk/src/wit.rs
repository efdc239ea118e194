//! The bindings of `wit/v0.1`, for what the rest of the crate does not offer.

#![expect(missing_docs, reason = "generated")]

/// The world `step`.
pub mod step {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "step",
        pub_export_macro: true,
        default_bindings_module: "runtime_plugin_sdk::wit::step",
        export_macro_name: "export_step",
    });
}

/// The world `logits-processor`.
pub mod logits {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "logits-processor",
        with: {
            "inference:runtime/records@0.1.0": crate::wit::step::inference::runtime::records,
            "inference:runtime/tokenizer@0.1.0": crate::wit::step::inference::runtime::tokenizer,
            "inference:runtime/logging@0.1.0": crate::wit::step::inference::runtime::logging,
        },
        pub_export_macro: true,
        default_bindings_module: "runtime_plugin_sdk::wit::logits",
        export_macro_name: "export_logits_processor",
    });
}

wit_bindgen::generate!({
    path: "../../wit/v0.1",
    world: "architecture",
    pub_export_macro: true,
    default_bindings_module: "runtime_plugin_sdk::wit",
});
