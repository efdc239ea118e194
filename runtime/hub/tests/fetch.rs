//! Downloads from a hub on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_diagnostics::{Exit, Explain};
use runtime_hub::{Error, Hub, ModelSource, Repo, Settings};
use server::{COMMIT, Fault, Server};
use tempfile::TempDir;

const INDEX: &[u8] = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
const MODULES: &[u8] = br#"[
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "path": "3_Norm", "type": "sentence_transformers.models.Normalize"}
]"#;
const SMALL: [(&str, &[u8]); 2] = [("config.json", b"{}"), ("tokenizer.json", b"{\"t\": 1}")];

/// A hub with a cache of its own, which is empty.
struct Client {
    cache: TempDir,
    hub: Hub,
}

impl Client {
    fn new(server: &Server, token: Option<&str>) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let settings = Settings {
            cache: cache.path().to_owned(),
            endpoint: server.endpoint(),
            token: token.map(str::to_owned),
            offline: false,
            docker_config: None,
        };
        Self { cache, hub: Hub::new(settings) }
    }

    fn fetch(&self, revision: &str) -> Result<PathBuf, Error> {
        self.hub.fetch(&Repo::new("org/name", revision).unwrap(), false)
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }
}

fn model_with<'a>(more: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    SMALL.iter().chain(more).copied().collect()
}

/// The paths of all files below `folder`, relative to it, links counted as files.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files
}

#[test]
fn only_what_is_needed_is_downloaded() {
    let wanted = model_with(&[
        ("1_Pooling/config.json", b"{\"pooling\": 1}"),
        ("2_Dense/config.json", b"{\"in_features\": 2}"),
        ("2_Dense/model.safetensors", b"layer"),
        ("architecture.wasm", b"\0asm"),
        ("chat_template.jinja", b"{{ m }}"),
        ("model.safetensors", b"0123456789"),
        ("modules.json", MODULES),
        ("tokenizer_config.json", b"{}"),
    ]);
    let unwanted = [
        ("README.md", &b"x"[..]),
        ("2_Dense/pytorch_model.bin", b"x"),
        ("modeling_name.py", b"x"),
        ("onnx/config.json", b"x"),
        ("onnx_config.json", b"x"),
        ("openvino_model.json", b"x"),
        ("other/config.json", b"x"),
        ("other.safetensors", b"x"),
        ("pytorch_model.bin", b"x"),
        ("tf_model.h5", b"x"),
        ("training_args.pt", b"x"),
        ("flax_model.msgpack", b"x"),
    ];
    let server = Server::start(&[&wanted[..], &unwanted[..]].concat(), Some("hf_test"), Fault::None);
    let client = Client::new(&server, Some("hf_test"));
    let source = ModelSource::parse("org/name").unwrap();
    let folder = client.hub.resolve(&source, false).unwrap();

    assert_eq!(folder, client.folder().join("snapshots").join(COMMIT));
    for (name, bytes) in &wanted {
        assert_eq!(fs::read(folder.join(name)).unwrap(), *bytes, "{name}");
    }
    let names: BTreeSet<String> = wanted.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files_below(&folder), names);
    assert_eq!(fs::read_to_string(client.folder().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(files_below(&client.folder().join("refs")), BTreeSet::from(["main".to_owned()]));
    assert!(client.folder().join("blobs/etag-model-safetensors").is_file());

    let requests = server.requests();
    assert!(requests.iter().all(|request| request.authorization.as_deref() == Some("Bearer hf_test")));
    let asked = |name: &str| requests.iter().any(|request| request.path.ends_with(&format!("/{COMMIT}/{name}")));
    assert!(wanted.iter().all(|(name, _)| asked(name)));
    for (name, _) in unwanted {
        assert!(!asked(name), "{name} was asked for");
    }

    assert_eq!(client.fetch("main").unwrap(), folder);
    assert_eq!(client.fetch(COMMIT).unwrap(), folder);
    assert_eq!(server.requests().len(), requests.len(), "what is complete is not asked for again");

    fs::remove_file(folder.join("2_Dense/model.safetensors")).unwrap();
    let cached = client.hub.cached(&Repo::new("org/name", "main").unwrap());
    let missing = matches!(&cached, Err(Error::Missing { file, .. }) if file == "2_Dense/model.safetensors");
    assert!(missing, "{cached:?}");
}

#[test]
fn shards_are_those_of_the_index() {
    let files = model_with(&[
        ("model-1.safetensors", b"one"),
        ("model-2.safetensors", b"two"),
        ("model-3.safetensors", b"of no index"),
        ("model.safetensors.index.json", INDEX),
    ]);
    let server = Server::start(&files, None, Fault::None);
    let client = Client::new(&server, None);
    let folder = client.fetch(COMMIT).unwrap();
    assert_eq!(fs::read(folder.join("model-2.safetensors")).unwrap(), b"two");
    assert!(folder.join("model-1.safetensors").exists() && !folder.join("model-3.safetensors").exists());
    assert_eq!(files_below(&client.folder().join("refs")), BTreeSet::new(), "a commit needs no reference");
    assert!(server.requests().iter().all(|request| request.authorization.is_none()));
}

#[test]
fn an_interrupted_download_is_continued() {
    let weights: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let server = Server::start(&model_with(&[("model.safetensors", &weights)]), None, Fault::Cut);
    let client = Client::new(&server, None);
    let folder = client.fetch("main").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights);
    let requests = server.requests();
    let ranges: Vec<&str> = requests
        .iter()
        .filter(|request| request.path == "/storage/model.safetensors")
        .filter_map(|request| request.range.as_deref())
        .filter(|range| *range != "bytes=0-0")
        .collect();
    assert_eq!(ranges, ["bytes=0-", "bytes=50000-"]);
}

#[test]
fn a_kept_part_that_cannot_be_continued_is_begun_anew() {
    for part in [&b"0123456789"[..], b"longer than the file"] {
        let server = Server::start(&model_with(&[("model.safetensors", b"abcdefghij")]), None, Fault::None);
        let client = Client::new(&server, None);
        fs::create_dir_all(client.folder().join("blobs")).unwrap();
        fs::write(client.folder().join("blobs/etag-model-safetensors.part"), part).unwrap();
        let folder = client.fetch("main").unwrap();
        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), b"abcdefghij");
    }
}

#[test]
fn silence_is_given_up_on() {
    let weights = vec![7; 100_000];
    for (fault, stalled) in [(Fault::Stall, true), (Fault::Silent, false)] {
        let server = Server::start(&model_with(&[("model.safetensors", &weights)]), None, fault);
        let mut client = Client::new(&server, None);
        client.hub = client.hub.with_patience(Duration::from_millis(400));
        let begin = Instant::now();
        let error = client.fetch("main").unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(10), "the server is silent for 20 s");
        match &error {
            Error::Stalled { file, .. } => assert!(stalled && file == "model.safetensors"),
            Error::Network { .. } => assert!(!stalled),
            other => panic!("{other}"),
        }
        assert_eq!(error.exit(), Exit::Unavailable);
        assert!(!client.folder().join("refs/main").exists(), "an incomplete commit is not what `main` stands for");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let files = model_with(&[("model.safetensors", b"w")]);
    let server = Server::start(&files, Some("hf_right"), Fault::None);
    let anonymous = Client::new(&server, None).fetch("main").unwrap_err();
    assert!(matches!(anonymous, Error::Refused { status: 401, token: false, .. }), "{anonymous}");
    assert!(anonymous.hint().unwrap().contains("set HF_TOKEN"));
    let wrong = Client::new(&server, Some("hf_wrong")).fetch("main").unwrap_err();
    assert!(matches!(wrong, Error::Refused { status: 401, token: true, .. }), "{wrong}");
    assert!(wrong.hint().unwrap().contains("HF_TOKEN may not read it"));

    let gated = Server::start(&files, None, Fault::Gated);
    let error = Client::new(&gated, Some("hf_any")).fetch("main").unwrap_err();
    assert!(matches!(error, Error::Refused { status: 403, token: true, .. }), "{error}");
    assert_eq!(gated.requests().len(), 2, "a refusal is not tried again");
}

#[test]
fn an_unknown_revision_is_named() {
    let server = Server::start(&model_with(&[("model.safetensors", b"w")]), None, Fault::None);
    let error = Client::new(&server, None).fetch("v9").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().ends_with("has no model `org/name` at revision `v9`"), "{error}");
    assert_eq!(error.exit(), Exit::Unavailable);
}

#[test]
fn no_server_is_a_network_error_with_its_cause() {
    let server = Server::start(&[], None, Fault::None);
    let cache = tempfile::tempdir().unwrap();
    let settings = |endpoint: String, offline| Settings {
        cache: cache.path().into(),
        endpoint,
        token: None,
        offline,
        docker_config: None,
    };
    let repo = Repo::new("org/name", "main").unwrap();

    let error = Hub::new(settings("http://127.0.0.1:1".into(), false)).fetch(&repo, false).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert!(error.source().is_some_and(|cause| cause.to_string().contains("refused")), "{error:?}");
    assert_eq!(error.exit(), Exit::Unavailable);

    let error = Hub::new(settings(server.endpoint(), true)).fetch(&repo, false).unwrap_err();
    assert!(matches!(error, Error::Missing { offline: true, .. }), "{error}");
    assert!(server.requests().is_empty(), "offline asks nobody");
}

#[test]
fn a_repository_that_cannot_be_run_is_refused_before_any_file() {
    let refusal = |files: &[(&str, &[u8])]| {
        let server = Server::start(files, None, Fault::None);
        let error = Client::new(&server, None).fetch("main").unwrap_err();
        assert_eq!(server.requests().len(), 1, "the list is enough: {error}");
        error
    };
    let pickled = refusal(&model_with(&[("pytorch_model.bin", b"x")]));
    assert!(matches!(&pickled, Error::Pickle { file, .. } if file == "pytorch_model.bin"), "{pickled}");
    assert!(pickled.to_string().contains("run code"), "{pickled}");
    let gguf = refusal(&model_with(&[("model-q4.gguf", b"x")]));
    assert!(matches!(&gguf, Error::Lacks { file, .. } if file == "model.safetensors"), "{gguf}");
    let bare = refusal(&[("config.json", b"{}"), ("model.safetensors", b"x")]);
    assert!(matches!(&bare, Error::Lacks { file, .. } if file == "tokenizer.json"), "{bare}");
    for name in ["../evil.json", "/etc/evil.json", "a/../../evil.json"] {
        let error = refusal(&model_with(&[("model.safetensors", b"x"), (name, b"x")]));
        assert!(matches!(&error, Error::UnsafeName { name: told, .. } if told == name), "{error}");
    }
}

#[test]
fn an_index_must_name_files_of_the_repository() {
    let files = model_with(&[("model-1.safetensors", b"one"), ("model.safetensors.index.json", INDEX)]);
    let server = Server::start(&files, None, Fault::None);
    let error = Client::new(&server, None).fetch("main").unwrap_err();
    assert!(matches!(&error, Error::Lacks { file, .. } if file == "model-2.safetensors"), "{error}");
}

#[test]
fn all_files_are_of_one_commit() {
    let server = Server::start(&model_with(&[("model.safetensors", b"w")]), None, Fault::OtherCommit);
    let error = Client::new(&server, None).fetch("main").unwrap_err();
    assert!(matches!(&error, Error::OtherCommit { file, .. } if file == "config.json"), "{error}");
}

#[test]
fn a_plugin_is_one_file_of_a_repository() {
    let files = model_with(&[("plugins/own.wasm", b"\0asm"), ("model.safetensors", b"w")]);
    let server = Server::start(&files, None, Fault::None);
    let client = Client::new(&server, None);
    let repo = Repo::new("org/name", Repo::DEFAULT_REVISION).unwrap();
    assert!(matches!(client.hub.cached_file(&repo, "plugins/own.wasm"), Err(Error::Missing { .. })));
    let path = client.hub.fetch_file(&repo, "plugins/own.wasm", false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"\0asm");
    assert!(!files_below(&client.folder()).iter().any(|file| file.ends_with("model.safetensors")));
    let asked = server.requests().len();
    assert_eq!(client.hub.fetch_file(&repo, "plugins/own.wasm", false).unwrap(), path);
    assert_eq!(server.requests().len(), asked);
    let error = client.hub.fetch_file(&repo, "absent.wasm", false).unwrap_err();
    assert!(matches!(error, Error::Lacks { .. }), "{error}");
    // The model of the same repository is still downloaded whole.
    assert!(client.fetch(Repo::DEFAULT_REVISION).unwrap().join("model.safetensors").exists());
}
