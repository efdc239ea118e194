//! The sources that plugins are written with, as this program carries them along.
//!
//! They are a workspace of their own beside the author's crate, with the crates' places in this repository, so that their
//! manifests stay as they are. What is left out of the workspace's manifest is what other crates need.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../plugins/sdk");
static GRAPH: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../graph");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit/v0.1");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Where each of them is, in the repository as in a copy.
const PLACES: [(&str, &Dir<'_>); 3] = [("plugins/sdk", &SDK), ("runtime/graph", &GRAPH), ("wit/v0.1", &WIT)];

/// The files of the workspace, by their paths in it.
pub(crate) fn files() -> Vec<(PathBuf, String)> {
    let mut files = vec![(PathBuf::from("Cargo.toml"), manifest())];
    for (place, folder) in PLACES {
        collect(folder, Path::new(place), &mut files);
    }
    files
}

fn collect(folder: &Dir<'_>, place: &Path, files: &mut Vec<(PathBuf, String)>) {
    // Tests of the crates are for those who change them.
    for inner in folder.dirs().filter(|inner| inner.path() != Path::new("tests")) {
        collect(inner, place, files);
    }
    let texts = folder.files().filter_map(|file| Some((place.join(file.path()), file.contents_utf8()?.to_owned())));
    files.extend(texts);
}

/// The manifest of this repository's workspace, of which only those crates are left that are in the copy.
fn manifest() -> String {
    let mut root: Table = WORKSPACE.parse().expect("cargo has read it");
    let mut workspace = take(&mut root, "workspace");
    let members = PLACES.iter().filter(|(_, folder)| folder.get_file("Cargo.toml").is_some());
    let members: Vec<Value> = members.map(|(place, _)| Value::from(*place)).collect();
    let needed: Vec<String> = [&SDK, &GRAPH].into_iter().flat_map(dependencies).collect();
    let known = take(&mut workspace, "dependencies");
    let known: Table = known.into_iter().filter(|(name, _)| needed.contains(name)).collect();
    let mut kept =
        Table::from_iter([("members".to_owned(), Value::Array(members)), ("dependencies".to_owned(), known.into())]);
    for key in ["resolver", "package", "lints"] {
        kept.extend(workspace.remove(key).map(|value| (key.to_owned(), value)));
    }
    Table::from_iter([("workspace".to_owned(), Value::Table(kept))]).to_string()
}

/// The names of what a crate depends on.
fn dependencies(folder: &Dir<'_>) -> Vec<String> {
    let manifest = folder.get_file("Cargo.toml").and_then(|file| file.contents_utf8()).unwrap_or_default();
    let mut manifest: Table = manifest.parse().expect("cargo has read it");
    take(&mut manifest, "dependencies").into_iter().map(|(name, _)| name).collect()
}

fn take(table: &mut Table, key: &str) -> Table {
    match table.remove(key) {
        Some(Value::Table(inner)) => inner,
        _ => Table::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_knows_all_that_its_members_name() {
        let files = files();
        let find = |path: &str| files.iter().find(|(known, _)| known == Path::new(path)).map(|(_, text)| text.as_str());
        let root: Table = find("Cargo.toml").expect("it is there").parse().expect("it is TOML");
        let known = root["workspace"]["dependencies"].as_table().expect("a table");
        for (member, folder) in [("plugins/sdk", &SDK), ("runtime/graph", &GRAPH)] {
            assert!(find(&format!("{member}/src/lib.rs")).is_some());
            for name in dependencies(folder) {
                let version = known.get(&name).unwrap_or_else(|| panic!("{member} needs {name}"));
                let path = version.get("path").and_then(Value::as_str);
                assert!(
                    path.is_none_or(|path| find(&format!("{path}/Cargo.toml")).is_some()),
                    "{path:?} is in the copy"
                );
            }
        }
        assert!(find("wit/v0.1/world.wit").is_some());
        assert!(!files.iter().any(|(path, _)| path.components().any(|part| part.as_os_str() == "tests")));
    }
}
