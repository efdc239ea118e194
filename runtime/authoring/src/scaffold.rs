//! A folder to begin a plugin with.

use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use runtime_engine::World;

use crate::{Error, sdk};

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What records the activations of a Python original, for `runtime plugin check --against`.
const RECORDER: &str = include_str!("../record.py");

/// The folder of the sources that the plugin is written with.
const SDK: &str = "runtime-sdk";

/// A folder that was written.
#[derive(Debug)]
pub struct Scaffold {
    /// Where it is.
    pub folder: PathBuf,
    /// The author's files in it, without the sources of the SDK.
    pub files: Vec<PathBuf>,
}

/// Writes a plugin of `world` called `name` into the new folder `parent/name`. It builds as it is, and its tests pass.
///
/// # Errors
/// Where it is no name of a crate, there is such a folder already, or it cannot be written.
pub fn scaffold(parent: &Path, name: &str, world: World) -> Result<Scaffold, Error> {
    let folder = parent.join(name);
    check_name(name)?;
    if folder.exists() {
        return Err(Error::Exists { folder });
    }
    let mut files = vec![
        (PathBuf::from("Cargo.toml"), template("Cargo.toml.txt")),
        (PathBuf::from(".gitignore"), template("gitignore.txt")),
    ];
    let of_world = TEMPLATES.get_dir(world.name()).into_iter().flat_map(files_of);
    files.extend(
        of_world.map(|(path, text)| (path.strip_prefix(world.name()).map(Path::to_owned).unwrap_or(path), text)),
    );
    for (_, text) in &mut files {
        *text = text.replace("{{name}}", name).replace("{{lib}}", &name.replace('-', "_"));
    }
    if world == World::Architecture {
        files.push((PathBuf::from("record.py"), RECORDER.to_owned()));
    }
    files.sort();
    for (path, text) in
        files.iter().cloned().chain(sdk::files().into_iter().map(|(path, text)| (Path::new(SDK).join(path), text)))
    {
        write(&folder.join(path), &text)?;
    }
    Ok(Scaffold { folder, files: files.into_iter().map(|(path, _)| path).collect() })
}

fn template(name: &str) -> String {
    let file = TEMPLATES.get_file(name).and_then(|file| file.contents_utf8());
    file.unwrap_or_default().to_owned()
}

fn files_of(folder: &Dir<'_>) -> Vec<(PathBuf, String)> {
    let texts = folder.files().filter_map(|file| Some((file.path().to_owned(), file.contents_utf8()?.to_owned())));
    texts.chain(folder.dirs().flat_map(files_of)).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// A crate's name that is also a folder's, a plugin's in a pipeline and, with underscores, a library's.
fn check_name(name: &str) -> Result<(), Error> {
    let reason = if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        "begins with a letter"
    } else if !name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char)) {
        "has lower-case letters, digits, `-` and `_`"
    } else if RESERVED.contains(&name) {
        "is no word of Rust's, of cargo's or of the SDK's"
    } else {
        return Ok(());
    };
    Err(Error::Name { name: name.to_owned(), reason })
}

/// Names that cargo refuses, or that would hide what every crate is written with.
const RESERVED: [&str; 64] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "runtime-graph",
    "runtime-plugin-sdk",
    "self",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit-bindgen",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_crate_is_refused_with_the_rule() {
        for (name, rule) in [
            ("2d", "letter"),
            ("a b", "lower-case"),
            ("../up", "letter"),
            ("Mamba", "letter"),
            ("", "letter"),
            ("match", "Rust"),
            ("core", "Rust"),
            ("gen", "Rust"),
            ("runtime-plugin-sdk", "SDK"),
        ] {
            let refused =
                scaffold(Path::new("nowhere"), name, World::Step).map(|_| ()).map_err(|error| error.to_string());
            assert!(refused.as_ref().is_err_and(|why| why.contains(rule)), "{name}: {refused:?}");
        }
    }

    #[test]
    fn each_world_has_a_folder_without_a_placeholder_left_and_none_is_written_over() {
        let parent = tempfile::tempdir().expect("a folder");
        for (name, world) in
            [("one", World::Architecture), ("two-words", World::Step), ("three", World::LogitsProcessor)]
        {
            let scaffold = scaffold(parent.path(), name, world).expect("it is written");
            assert!(scaffold.files.contains(&PathBuf::from("src/lib.rs")));
            assert_eq!(scaffold.files.contains(&PathBuf::from("record.py")), world == World::Architecture);
            for path in &scaffold.files {
                let text = fs::read_to_string(scaffold.folder.join(path)).expect("it is there");
                assert!(!["{{name}}", "{{lib}}"].iter().any(|hole| text.contains(hole)), "{}", path.display());
            }
            assert!(scaffold.folder.join(SDK).join("plugins/sdk/src/lib.rs").is_file());
        }
        assert!(matches!(scaffold(parent.path(), "one", World::Step), Err(Error::Exists { .. })));
    }
}
