//! What the cache is taken to hold, on caches laid out by hand as `huggingface_hub` lays them out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Explain};
use runtime_hub::{Error, Hub, ModelSource, Repo, Settings};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const INDEX: &str = r#"{"metadata": {}, "weight_map": {
    "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
    "c": "model-00001-of-00002.safetensors"}}"#;

/// A cache with a model `org/name` whose branch `main` is at [`COMMIT`].
struct Cache {
    folder: TempDir,
}

impl Cache {
    fn new(files: &[(&str, &str)]) -> Self {
        let cache = Self { folder: tempfile::tempdir().unwrap() };
        cache.write("refs/main", COMMIT);
        for (name, text) in files {
            cache.write(&format!("snapshots/{COMMIT}/{name}"), text);
        }
        cache
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("models--org--name").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn hub(&self, offline: bool) -> Hub {
        // Nothing listens on port 1: a test that touched the network would fail by another error.
        let endpoint = "http://127.0.0.1:1".to_owned();
        Hub::new(Settings { cache: self.folder.path().to_owned(), endpoint, token: None, offline, docker_config: None })
    }

    fn snapshot(&self) -> PathBuf {
        self.folder.path().join("models--org--name/snapshots").join(COMMIT)
    }

    /// The file that [`Hub::cached`] misses, if any.
    fn missing(&self) -> Option<String> {
        match self.hub(false).cached(&repo("main")) {
            Ok(found) => {
                assert_eq!(found, self.snapshot());
                None
            }
            Err(Error::Missing { file, .. }) => Some(file),
            Err(other) => panic!("{other}"),
        }
    }
}

fn repo(revision: &str) -> Repo {
    Repo::new("org/name", revision).unwrap()
}

#[test]
fn a_model_is_complete_with_configuration_tokenizer_and_weights() {
    let cache = Cache::new(&[]);
    assert_eq!(cache.missing().as_deref(), Some("config.json"));
    for (file, next) in [
        ("config.json", Some("tokenizer.json")),
        ("tokenizer.json", Some("model.safetensors")),
        ("model.safetensors", None),
    ] {
        cache.write(&format!("snapshots/{COMMIT}/{file}"), "{}");
        assert_eq!(cache.missing().as_deref(), next, "after {file}");
    }
}

#[test]
fn every_shard_of_an_index_is_needed() {
    let cache = Cache::new(&[("config.json", ""), ("tokenizer.json", ""), ("model.safetensors.index.json", INDEX)]);
    assert_eq!(cache.missing().as_deref(), Some("model-00001-of-00002.safetensors"));
    cache.write(&format!("snapshots/{COMMIT}/model-00001-of-00002.safetensors"), "");
    assert_eq!(cache.missing().as_deref(), Some("model-00002-of-00002.safetensors"));
    cache.write(&format!("snapshots/{COMMIT}/model-00002-of-00002.safetensors"), "");
    assert_eq!(cache.missing(), None);
}

#[test]
fn an_index_may_name_only_safetensors_inside_the_folder() {
    let index = |shard: &str| {
        let index = format!(r#"{{"weight_map": {{"a": "{shard}"}}}}"#);
        let cache =
            Cache::new(&[("config.json", ""), ("tokenizer.json", ""), ("model.safetensors.index.json", &index)]);
        cache.hub(true).cached(&repo("main")).unwrap_err()
    };
    assert!(matches!(index("../../../x.safetensors"), Error::UnsafeName { .. }));
    assert!(matches!(index("/x.safetensors"), Error::UnsafeName { .. }));
    assert!(matches!(index("pytorch_model.bin"), Error::Pickle { .. }));
}

#[test]
fn a_malformed_index_is_named() {
    let cache = Cache::new(&[("config.json", ""), ("tokenizer.json", ""), ("model.safetensors.index.json", "[")]);
    let error = cache.hub(true).cached(&repo("main")).unwrap_err();
    assert!(matches!(&error, Error::Json { path, .. } if path.ends_with("model.safetensors.index.json")), "{error}");
}

#[test]
fn a_revision_is_a_reference_or_a_commit() {
    let cache = Cache::new(&[("config.json", ""), ("tokenizer.json", ""), ("model.safetensors", "")]);
    cache.write("refs/refs/pr/1", &format!("{COMMIT}\n"));
    for revision in ["main", "refs/pr/1", COMMIT] {
        assert_eq!(cache.hub(true).cached(&repo(revision)).unwrap(), cache.snapshot(), "{revision}");
        assert_eq!(cache.hub(true).fetch(&repo(revision), false).unwrap(), cache.snapshot(), "{revision}");
    }
    for revision in ["v1", "refs/pr", "main/deeper"] {
        let error = cache.hub(true).cached(&repo(revision)).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{revision}: {error}");
    }
    // A reference that leaves the cache leads nowhere, though the folder it names is there.
    cache.write("refs/evil", &format!("../snapshots/{COMMIT}"));
    assert!(matches!(cache.hub(true).cached(&repo("evil")), Err(Error::Missing { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_without_its_blob_is_missing() {
    let cache = Cache::new(&[("config.json", ""), ("tokenizer.json", "")]);
    std::os::unix::fs::symlink("../../blobs/gone", cache.snapshot().join("model.safetensors")).unwrap();
    assert_eq!(cache.missing().as_deref(), Some("model.safetensors"));
    cache.write("blobs/gone", "here after all");
    assert_eq!(cache.missing(), None);
}

#[test]
fn offline_says_what_is_missing_and_what_to_do() {
    let cache = Cache::new(&[("config.json", "")]);
    let error = cache.hub(true).fetch(&repo("main"), false).unwrap_err();
    let folder = cache.folder.path().display();
    let expected = format!("`org/name` is not complete in the cache `{folder}`: `tokenizer.json` is missing");
    assert_eq!(error.to_string(), expected);
    let hint = "`runtime model fetch org/name` downloads it where there is a network; unset HF_HUB_OFFLINE";
    assert_eq!(error.hint().as_deref(), Some(hint));
    assert_eq!(error.exit(), Exit::Unavailable);

    let online = cache.hub(false).cached(&repo("v1")).unwrap_err();
    let hint = "`runtime model fetch org/name@v1` downloads it where there is a network";
    assert_eq!(online.hint().as_deref(), Some(hint));
}

#[test]
fn a_folder_source_is_that_folder() {
    let cache = Cache::new(&[("config.json", "")]);
    let resolve = |path: &Path| cache.hub(true).resolve(&ModelSource::Folder(path.to_owned()), false);
    assert_eq!(resolve(&cache.snapshot()).unwrap(), cache.snapshot());

    let absent = resolve(&cache.snapshot().join("absent")).unwrap_err();
    assert!(matches!(&absent, Error::NoFolder { path, .. } if path.ends_with("absent")), "{absent}");
    let file = resolve(&cache.snapshot().join("config.json")).unwrap_err();
    assert!(matches!(&file, Error::NotAFolder { path } if path.ends_with("config.json")), "{file}");
    assert_eq!((absent.exit(), file.exit()), (Exit::NoInput, Exit::NoInput));
}
