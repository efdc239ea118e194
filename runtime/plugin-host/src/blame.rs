//! Which function of a plugin an error is of, and why the plugin was ended.

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::engine::FRAMES;
use crate::error::Cause;
use crate::limits::{Denied, TABLE_ELEMENTS};
use crate::state::Bounds;
use crate::{Limits, Site, text};

/// Crates that carry a plugin's calls or come with the SDK; what their functions are called says nothing to its author.
const CARRIERS: &[&str] = &[
    "alloc",
    "componentize_py_runtime",
    "core",
    "hashbrown",
    "indexmap",
    "pyo3",
    "runtime_graph",
    "runtime_plugin_sdk",
    "serde",
    "serde_core",
    "serde_json",
    "std",
    "strsim",
    "wasi",
    "wasip2",
    "wit_bindgen",
];

/// What the toolchain adds to every component, by the beginning of its name.
const RUNTIME: &[&str] =
    &["__", "_start", "_initialize", "abort", "cabi_", "dlmalloc", "indirect-", "inference:", "rust_", "wasm-"];

/// Where `error` happened, during a call of the export `called`; without an error, after it.
pub(crate) fn site(plugin: &str, version: Option<&str>, called: &str, error: Option<&wasmtime::Error>) -> Site {
    let frames = error.and_then(|error| error.downcast_ref::<WasmBacktrace>()).map_or(&[][..], WasmBacktrace::frames);
    let backtrace: Vec<String> = frames.iter().filter_map(FrameInfo::func_name).map(readable).collect();
    let own = own_function(&backtrace);
    Site {
        plugin: plugin.to_owned(),
        version: version.map(str::to_owned),
        function: own.unwrap_or(called).to_owned(),
        backtrace,
        is_granted: false,
    }
}

/// Why `error` ended the plugin.
pub(crate) fn cause(error: &wasmtime::Error, bounds: &Bounds, limits: &Limits) -> Cause {
    if let Some(cause) = error.downcast_ref::<Cause>() {
        return cause.clone();
    }
    let depth = error.downcast_ref::<WasmBacktrace>().map_or(0, |backtrace| backtrace.frames().len());
    let denied = bounds.limiter.denied().map(|denied| match denied {
        Denied::Memory => Cause::Memory { limit: limits.memory },
        Denied::Tables => Cause::Tables { limit: TABLE_ELEMENTS },
    });
    match (error.downcast_ref::<Trap>(), denied) {
        (Some(Trap::Interrupt), _) => Cause::Deadline { limit: limits.deadline },
        (Some(Trap::StackOverflow), _) => Cause::Stack,
        // Most languages keep a second stack at the lower end of the guest's memory: overrun, it ends below address 0.
        (Some(Trap::MemoryOutOfBounds), _) if depth >= FRAMES => Cause::Stack,
        (Some(Trap::MemoryOutOfBounds), _) => Cause::OutOfBounds,
        // A guest that is denied memory aborts, as one that panics does.
        (_, Some(denied)) => denied,
        (Some(Trap::UnreachableCodeReached), _) => Cause::Panic { message: bounds.stderr.panic_message() },
        (Some(trap), _) => Cause::Other(trap.to_string()),
        (None, _) => Cause::Other(text::printable(&error.root_cause().to_string())),
    }
}

/// A function's name in the source: demangled, without hash and closure marks.
fn readable(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    text::printable(name.replace("::{{closure}}", "").as_str())
}

/// The innermost function that the plugin's author wrote.
fn own_function(backtrace: &[String]) -> Option<&str> {
    // Where names have paths, one without is of the C library below.
    let paths = backtrace.iter().any(|name| name.contains("::"));
    let names = backtrace.iter().map(String::as_str).filter(|name| name.contains("::") == paths);
    names.into_iter().find(|name| {
        // `<&runtime_graph::builder::Value as core::ops::arith::Add>::add` is of `runtime_graph`.
        let path = name.trim_start_matches(['<', '&', '*', '[', '(']);
        let path = path.trim_start_matches("mut ").trim_start_matches("dyn ");
        let root = path.split_once("::").map_or(path, |(root, _)| root);
        !CARRIERS.contains(&root) && !RUNTIME.iter().any(|prefix| root.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_become_names_of_the_source() {
        for (symbol, name) in [
            ("_ZN21runtime_architectures4bert5layer17hc89e0ee7ac6df121E", "runtime_architectures::bert::layer"),
            (
                "_ZN21runtime_architectures4bert5layer28_$u7b$$u7b$closure$u7d$$u7d$17hc89e0ee7ac6df121E",
                "runtime_architectures::bert::layer",
            ),
            ("_RNvNtCs9pv848UzQwQ_4core6result13unwrap_failed", "core::result::unwrap_failed"),
            ("cabi_realloc", "cabi_realloc"),
        ] {
            assert_eq!(readable(symbol), name);
        }
    }

    #[test]
    fn the_authors_functions_are_told_from_what_carries_their_calls() {
        let own = |names: &[&str]| {
            own_function(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).map(str::to_owned)
        };
        let carriers = [
            "write",
            "runtime_graph::builder::Value::record",
            "<&runtime_graph::builder::Value as core::ops::arith::Add>::add",
            "__rustc::rust_begin_unwind",
        ];
        let rust = [&carriers[..], &["mine::layer", "mine::build", "build"]].concat();
        assert_eq!(own(&rust).as_deref(), Some("mine::layer"));
        assert_eq!(own(&carriers), None);
        let python = [
            "componentize_py_runtime::__pyfunction_call_import",
            "<pyo3::err::PyErr>::print",
            "_PyEval_EvalFrameDefault",
            "wit_dylib_export_call",
        ];
        assert_eq!(own(&python), None);
        assert_eq!(own(&["cabi_realloc", "layer", "exports_build"]).as_deref(), Some("layer"));
        assert_eq!(own(&[]), None);
    }
}
