//! What the end-to-end tests share: where things are, how a guest or the binary is found, folders to work in, the
//! program as a process, model folders made by hand, and plugins beside what was recorded.

mod attack;
mod endpoint;
mod following;
mod gpu;
mod held;
mod model;
mod process;
mod project;
mod recorded;
mod wheel;

use std::path::{Path, PathBuf};

pub use attack::{attack, attacks};
pub use endpoint::{Asked, Endpoint, Reply};
pub use following::Following;
pub use gpu::{open_gpus, without_gpu};
pub use held::{Held, in_its_own_process};
pub use model::{Floats, Tensors, copy_folder, golden_model, write_lora};
pub use process::Finished;
pub use project::{PIPELINE, Project};
pub use recorded::{Recorded, ask, ids, tokens};
pub use wheel::fetched;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace")
}

/// The `runtime` binary that `tests/run` has built, beside this test's own.
///
/// # Panics
/// Where it has not been built, saying how.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("a test lies in target/PROFILE/deps");
    let path = profile.join("runtime").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "{} is missing: `tests/run` builds it first", path.display());
    path
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
