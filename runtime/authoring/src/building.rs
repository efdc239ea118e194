//! From a crate to a component.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Error;

/// The target of components.
const TARGET: &str = "wasm32-wasip2";

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its file.
    pub file: PathBuf,
}

/// Builds the crate in `folder` for components, optimised and without symbols. What cargo says goes to stderr.
///
/// # Errors
/// Where there is no crate, no Rust or no standard library for components, or cargo refuses.
pub fn build(folder: &Path) -> Result<Built, Error> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(Error::NoCrate { folder: folder.to_owned() });
    }
    check_target(folder)?;
    let mut cargo = Command::new(program("CARGO", "cargo"));
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // In the folder, so that the toolchain and the settings that it asks for are taken.
    cargo.args(["--config", "profile.release.strip='symbols'"]).current_dir(folder);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| Error::NoToolchain { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(Error::Build { folder: folder.to_owned() });
    }
    // The last component is that of the crate itself: what it depends on is built before it.
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut files = messages.lines().filter_map(|line| component(&serde_json::from_str(line).ok()?));
    files.next_back().map(|file| Built { file }).ok_or_else(|| Error::NoComponent { folder: folder.to_owned() })
}

/// The component among the files of an artifact that cargo tells of.
fn component(message: &Value) -> Option<PathBuf> {
    let files = message.get("filenames").filter(|_| message["reason"] == "compiler-artifact")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Whether there is a standard library for the target, with the toolchain that the folder asks for.
fn check_target(folder: &Path) -> Result<(), Error> {
    let mut rustc = Command::new(program("RUSTC", "rustc"));
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).stderr(Stdio::inherit());
    let output = rustc.output().map_err(|source| Error::NoToolchain { program: "rustc".to_owned(), source })?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let holds_core = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libcore-");
    let found = libraries.read_dir().is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(holds_core)));
    if output.status.success() && found { Ok(()) } else { Err(Error::NoTarget { target: TARGET }) }
}

/// A program of the toolchain, as cargo's own variables name it.
fn program(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_components_among_what_cargo_made_are_taken() {
        let artifact = |file: &str| json!({"reason": "compiler-artifact", "filenames": [file]});
        assert_eq!(component(&artifact("/a/b.wasm")), Some(PathBuf::from("/a/b.wasm")));
        assert_eq!(component(&artifact("/a/libb.rlib")), None);
        assert_eq!(component(&json!({"reason": "build-finished", "success": true})), None);
    }

    #[test]
    fn a_folder_without_a_crate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(build(folder.path()), Err(Error::NoCrate { .. })));
    }
}
