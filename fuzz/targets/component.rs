//! A component's bytes: looked at as `runtime plugin inspect` does, that is compiled, linked, and asked to describe itself;
//! an architecture also builds a graph.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use runtime_fuzz::Scratch;
use runtime_graph::{Catalog, DType};
use runtime_plugin_host::{Limits, PluginHost};

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("component"));

/// With bounds that a mutated loop reaches soon, and without a cache: a folder cannot be made within a file.
static HOST: LazyLock<PluginHost> = LazyLock::new(|| {
    let limits = Limits { memory: 4 << 20, deadline: Duration::from_millis(30), ..Limits::default() };
    let nowhere = SCRATCH.write("nowhere", b"", None).join("cache");
    PluginHost::new(Some(nowhere), limits).expect("this machine runs WebAssembly")
});

fuzz_target!(|data: &[u8]| {
    let path = SCRATCH.write("plugin.wasm", data, None);
    match HOST.inspect(&path) {
        Ok(inspection) => {
            let steers = |text: &String| text.contains('\u{1b}');
            assert!(!inspection.imports.iter().chain(&inspection.exports).chain(&inspection.denied).any(steers));
        }
        Err(error) => {
            assert!(!error.to_string().contains('\u{1b}'), "it can steer the terminal");
            return;
        }
    }
    if let Ok(plugin) = HOST.load(&path) {
        for head in &plugin.description().heads {
            let catalog = Catalog::new([("words.weight", vec![16, 4], DType::F32)], &plugin.description().base_prefix);
            let _ = plugin.build("{\"hidden_size\": 4}", *head, catalog).map(|graph| graph.to_string());
        }
    }
});
