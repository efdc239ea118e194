//! The forms of a model source.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use runtime_diagnostics::{Exit, Explain};
use runtime_hub::{ModelSource, Repo, SourceError};

#[test]
fn paths_are_folders() {
    for text in ["./p", "../p", "/p", ".", "..", "./org/name", "../a@b", "~", "~/models/p", "/"] {
        assert_eq!(ModelSource::parse(text), Ok(ModelSource::Folder(text.into())), "{text}");
    }
}

#[test]
fn names_are_repositories() {
    let table = [
        ("org/name", "org/name", "main"),
        ("org/name@v1.0", "org/name", "v1.0"),
        ("Org-1/na_me.v2", "Org-1/na_me.v2", "main"),
        ("org/name@refs/pr/1", "org/name", "refs/pr/1"),
    ];
    for (text, id, revision) in table {
        let ModelSource::Hub(repo) = ModelSource::parse(text).unwrap() else { panic!("`{text}` is a repository") };
        assert_eq!((repo.id.as_str(), repo.revision.as_str()), (id, revision), "{text}");
    }
}

#[test]
fn anything_else_is_refused_with_both_forms() {
    let neither = ["", "name", "name@main", "a/b/c", "~user/p/q", "org\\name", "https://hub/org/name"];
    for text in neither {
        assert_eq!(ModelSource::parse(text), Err(SourceError::Form { text: text.into() }), "{text}");
    }
    for id in ["org/", "org/na me", "org/..", "org/.name", "org/na--me", "org/name?x", "ørg/name", "~user/p"] {
        assert_eq!(ModelSource::parse(id), Err(SourceError::Id { id: id.into() }), "{id}");
    }
    for revision in ["", "..", "a/../b", "/v1", "v1/", "a b", "x@y", "a%2Fb"] {
        let error = ModelSource::parse(&format!("org/name@{revision}")).unwrap_err();
        assert_eq!(error, SourceError::Revision { revision: revision.into() });
        assert_eq!(error.exit(), Exit::Config);
        let hint = error.hint().unwrap();
        assert!(hint.contains("`./`") && hint.contains("`org/name@revision`"), "{hint}");
    }
    assert!(matches!(Repo::new("org/name/../x", "main"), Err(SourceError::Id { .. })));
}

#[test]
fn display_is_what_parse_reads() {
    for text in ["./p", "../p", "/p/q", "~/p", "org/name", "org/name@v1"] {
        assert_eq!(ModelSource::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(ModelSource::parse("org/name@main").unwrap().to_string(), "org/name", "the default is left out");
}

#[test]
fn relative_folders_are_joined_to_a_base() {
    let table = [
        ("./p", "/base", "/base/p"),
        (".", "/base", "/base"),
        ("../p", "/base", "/base/../p"),
        ("/p", "/base", "/p"),
        ("./p", "pipelines", "./pipelines/p"),
        ("./p", "", "./p"),
        ("org/name@v1", "/base", "org/name@v1"),
    ];
    for (text, base, expected) in table {
        let source = ModelSource::parse(text).unwrap().resolved_from(Path::new(base));
        assert_eq!(source.to_string(), expected, "{text} from {base}");
        let again = ModelSource::parse(&source.to_string()).unwrap();
        assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&source), "{text} from {base}");
    }
}

#[test]
fn plugins_are_paths_or_files_of_the_hub() {
    use runtime_hub::PluginSource;
    for path in ["bert.wasm", "./a:b.wasm", "/plugins/bert.wasm", "C:bert.wasm", "plugins/bert.wasm"] {
        assert_eq!(PluginSource::parse(path), Ok(PluginSource::File(path.into())), "{path}");
    }
    let hub = PluginSource::parse("acme/mamba@v2:wasm/architecture.wasm");
    let Ok(PluginSource::Hub { repo, file }) = &hub else { panic!("{hub:?}") };
    assert_eq!((&*repo.id, &*repo.revision, &**file), ("acme/mamba", "v2", "wasm/architecture.wasm"));
    for wrong in ["acme/mamba:../../etc/passwd", "acme/mamba:", "acme/mamba:/a", "acme/ma mba:a.wasm", "a/b/c:d.wasm"] {
        assert!(PluginSource::parse(wrong).is_err(), "{wrong}");
    }
}
