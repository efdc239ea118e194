//! What the end-to-end tests share: where things are, and how a guest or the binary is found.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().expect("the tests crate lies in the workspace")
}

/// A component built by `tests/run`: `guest("bert_plugin")` or `guest("examples/endless_loop")`.
///
/// # Panics
/// Where it has not been built, saying how.
pub fn guest(name: &str) -> PathBuf {
    let path = root().join("target/wasm32-wasip2/guest").join(name).with_extension("wasm");
    assert!(path.is_file(), "{} is missing: `tests/run` builds the guests first", path.display());
    path
}
