//! Plugins from an OCI registry on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod registry;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use registry::{Access, REPOSITORY, Registry, Request, WASM_CONFIG, manifest};
use runtime_diagnostics::{Exit, Explain};
use runtime_hub::{Digest, Error, Hub, OciError, OciReference, PluginSource, Settings, SourceError};
use serde_json::json;
use tempfile::TempDir;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 a component, as far as the hub is concerned";

/// A hub with a cache of its own, which is empty.
struct Client {
    folder: TempDir,
    settings: Settings,
}

impl Client {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            cache: folder.path().join("hub"),
            endpoint: "http://127.0.0.1:1".to_owned(),
            token: Some("of the hub alone".to_owned()),
            offline: false,
            docker_config: Some(folder.path().join("config.json")),
        };
        Self { folder, settings }
    }

    fn hub(&self, offline: bool) -> Hub {
        Hub::new(Settings { offline, ..self.settings.clone() }).with_patience(Duration::from_secs(5))
    }

    fn fetch(&self, reference: &str) -> Result<PathBuf, OciError> {
        unwrap(self.hub(false).fetch_oci(&parse(reference), false))
    }

    fn offline(&self, reference: &str) -> Result<PathBuf, OciError> {
        unwrap(self.hub(true).fetch_oci(&parse(reference), false))
    }

    /// What docker keeps of a registry.
    fn knows(&self, registry: &str, auth: &str) {
        let config = json!({"auths": {registry: {"auth": auth}}, "credsStore": "desktop"});
        fs::write(self.folder.path().join("config.json"), config.to_string()).unwrap();
    }
}

fn unwrap(result: Result<PathBuf, Error>) -> Result<PathBuf, OciError> {
    result.map_err(|error| match error {
        Error::Oci(error) => error,
        other => panic!("{other}"),
    })
}

fn parse(text: &str) -> OciReference {
    OciReference::parse(text).unwrap()
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.path.as_str()).collect()
}

#[test]
fn a_tag_is_asked_for_once_and_a_component_is_kept_by_its_digest() {
    let (registry, client) = (Registry::start(Access::Everybody), Client::new());
    let digest = registry.push("1.0", COMPONENT);
    let reference = registry.tagged("1.0");
    let _missing = client.offline(&reference).unwrap_err();
    let path = client.fetch(&reference).unwrap();
    assert_eq!(fs::read(&path).unwrap(), COMPONENT);
    let component = Digest::of(COMPONENT);
    assert_eq!(path, client.settings.cache.join("oci/blobs/sha256").join(component.digits()));
    let asked = registry.requests();
    let [manifests, blobs] = [("manifests", "1.0"), ("blobs", &component.to_string())]
        .map(|(kind, name)| format!("/v2/{REPOSITORY}/{kind}/{name}"));
    assert_eq!(paths(&asked), [&manifests, &blobs, &format!("/store/blobs/{component}")]);
    assert!(asked.iter().all(|request| request.authorization.is_none()), "the hub's token is the hub's");

    // What is there is not asked for again: with the tag, with the digest, and offline.
    let pinned = parse(&reference).pinned(digest.clone()).to_string();
    assert_eq!(pinned, format!("oci://{}/{REPOSITORY}@{digest}", registry.address()));
    for again in [&reference, &pinned, &format!("{reference}@{digest}")] {
        assert_eq!(client.fetch(again).unwrap(), path);
        assert_eq!(client.offline(again).unwrap(), path);
    }
    assert_eq!(registry.requests(), asked);

    // A tag that has moved is noticed by whoever asks anew.
    let moved = registry.push("1.0", b"another component");
    assert_eq!(client.fetch(&reference).unwrap(), path);
    let hub = client.hub(false);
    let newer = hub.refresh_oci(&parse(&reference), false).unwrap();
    assert_eq!(fs::read(newer).unwrap(), b"another component");
    assert_eq!(hub.oci_digest(&parse(&reference)).unwrap(), Some(moved));
    assert_eq!(fs::read(client.fetch(&reference).unwrap()).unwrap(), b"another component");
    assert_eq!(client.fetch(&pinned).unwrap(), path, "and a digest stays what it is");
}

#[test]
fn a_digest_is_what_arrives_or_nothing() {
    let (registry, client) = (Registry::start(Access::Everybody), Client::new());
    let digest = registry.push("1.0", COMPONENT);
    let pinned = format!("oci://{}/{REPOSITORY}@{digest}", registry.address());
    let path = client.fetch(&pinned).unwrap();
    assert_eq!(fs::read(path).unwrap(), COMPONENT);

    // Another manifest under that digest.
    let (client, other) = (Client::new(), manifest(b"another"));
    registry.put(&format!("manifests/{digest}"), "", other.to_string().as_bytes());
    let error = client.fetch(&pinned).unwrap_err();
    let is_told = matches!(&error, OciError::OtherDigest { what: "manifest", expected, .. } if *expected == digest);
    assert!(is_told, "{error}");
    assert_eq!(error.exit(), Exit::Unavailable);
    // A tag and a digest must agree.
    let both = format!("{}@{}", registry.tagged("1.0"), Digest::of(b"yet another"));
    assert!(matches!(client.fetch(&both), Err(OciError::NotFound { .. })));

    // Another component under its digest, and of its length.
    let mut spoilt = COMPONENT.to_vec();
    *spoilt.last_mut().unwrap() ^= 1;
    let digest = registry.push("2.0", COMPONENT);
    registry.put(&format!("blobs/{}", Digest::of(COMPONENT)), "", &spoilt);
    let error = client.fetch(&registry.tagged("2.0")).unwrap_err();
    assert!(matches!(error, OciError::OtherDigest { what: "component", .. }), "{error}");
    for nothing in [registry.tagged("2.0"), format!("oci://{}/{REPOSITORY}@{digest}", registry.address())] {
        assert!(matches!(client.offline(&nothing), Err(OciError::Missing { .. })), "nothing of it is kept");
    }
}

#[test]
fn what_is_spoilt_in_the_cache_is_downloaded_anew() {
    let (registry, client) = (Registry::start(Access::Everybody), Client::new());
    let digest = registry.push("1.0", COMPONENT);
    let reference = registry.tagged("1.0");
    let path = client.fetch(&reference).unwrap();
    fs::write(&path, "spoilt").unwrap();
    assert!(matches!(client.offline(&reference), Err(OciError::Missing { .. })));
    assert_eq!(fs::read(client.fetch(&reference).unwrap()).unwrap(), COMPONENT);
    fs::write(path.with_file_name(digest.digits()), manifest(b"another").to_string()).unwrap();
    assert!(matches!(client.offline(&reference), Err(OciError::Missing { .. })));
    assert_eq!(fs::read(client.fetch(&reference).unwrap()).unwrap(), COMPONENT);
    assert_eq!(client.offline(&reference).unwrap(), path);
}

#[test]
fn a_token_is_fetched_where_the_registry_asks_for_one() {
    let (registry, client) = (Registry::start(Access::Token), Client::new());
    registry.push("1.0", COMPONENT);
    client.fetch(&registry.tagged("1.0")).unwrap();
    let sent: Vec<_> = registry.requests().into_iter().map(|request| request.authorization).collect();
    let token = Some("Bearer a-token".to_owned());
    // Asked, fetched, and used for the manifest and for the component, which is elsewhere: there it is not sent.
    assert_eq!(sent, [None, None, token.clone(), token, None]);
    assert!(matches!(client.fetch(&registry.tagged("2.0")), Err(OciError::NotFound { .. })));
}

#[test]
fn credentials_go_to_their_registry_alone() {
    let registry = Registry::start(Access::TokenFor("bWU6c2VjcmV0"));
    registry.push("1.0", COMPONENT);
    let client = Client::new();
    let error = client.fetch(&registry.tagged("1.0")).unwrap_err();
    assert!(matches!(error, OciError::Refused { status: 401, known: false, .. }), "{error}");
    assert!(error.hint().unwrap().contains("docker login"));
    client.knows(registry.address(), "bWU6d3Jvbmc=");
    let error = client.fetch(&registry.tagged("1.0")).unwrap_err();
    assert!(matches!(error, OciError::Refused { status: 401, known: true, .. }), "{error}");
    client.knows("ghcr.io", "bWU6c2VjcmV0");
    assert!(matches!(client.fetch(&registry.tagged("1.0")), Err(OciError::Refused { known: false, .. })));
    client.knows(registry.address(), "bWU6c2VjcmV0");
    client.fetch(&registry.tagged("1.0")).unwrap();

    let basic = Registry::start(Access::Basic("bWU6c2VjcmV0"));
    basic.push("1.0", b"another component, which is not in the cache");
    assert!(matches!(client.fetch(&basic.tagged("1.0")), Err(OciError::Refused { known: false, .. })));
    client.knows(&format!("https://{}", basic.address()), "bWU6c2VjcmV0");
    client.fetch(&basic.tagged("1.0")).unwrap();
    let requests = basic.requests();
    let last = requests.last().map(|request| (request.path.starts_with("/store/"), request.authorization.as_deref()));
    assert_eq!(last, Some((true, None)), "they go where the registry is, and not where it leads to");

    let plain = Registry::start(Access::PlainRealm);
    let error = client.fetch(&plain.tagged("1.0")).unwrap_err();
    assert!(error.to_string().ends_with("the realm `http://registry.example/token` is not encrypted"), "{error}");

    fs::write(client.folder.path().join("config.json"), "{").unwrap();
    let error = client.fetch(&basic.tagged("2.0")).unwrap_err();
    assert!(matches!(error, OciError::Credentials { .. }) && error.exit() == Exit::Config, "{error}");
}

#[test]
fn what_is_no_plugin_is_told() {
    let registry = Registry::start(Access::Everybody);
    let said = |tag: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut manifest = manifest(COMPONENT);
        change(&mut manifest);
        registry.put_manifest(tag, &manifest);
        Client::new().fetch(&registry.tagged(tag)).unwrap_err()
    };
    let layer = said("layer", &|manifest| {
        manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    });
    assert!(
        layer
            .to_string()
            .ends_with("its layer is `application/vnd.oci.image.layer.v1.tar+gzip`, not `application/wasm`"),
        "{layer}"
    );
    assert!(layer.hint().unwrap().contains("wkg oci push"));
    let config =
        said("config", &|manifest| manifest["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into());
    assert!(config.to_string().ends_with(&format!("not `{WASM_CONFIG}`")), "{config}");
    let layers = said("layers", &|manifest| manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]));
    assert!(layers.to_string().ends_with("it has 2 layers, not one"), "{layers}");
    let algorithm = said("sha512", &|manifest| manifest["layers"][0]["digest"] = "sha512:00".into());
    assert!(algorithm.to_string().ends_with("its layer has no SHA-256"), "{algorithm}");
    let path = said("path", &|manifest| manifest["layers"][0]["digest"] = "sha256:../../../etc/passwd".into());
    assert!(matches!(path, OciError::NoPlugin { .. }), "{path}");
    let index = said("index", &|manifest| {
        *manifest = json!({"schemaVersion": 2, "manifests": [{"mediaType": "m", "digest": "d", "size": 1, "platform": {"os": "wasi"}}]});
    });
    assert!(matches!(index, OciError::Index { .. }), "{index}");
    assert!(index.hint().unwrap().contains("@sha256:"));
    registry.put("manifests/text", "text/html", b"<html>");
    let text = Client::new().fetch(&registry.tagged("text")).unwrap_err();
    assert!(text.to_string().contains("its manifest is not understood"), "{text}");
    // None of this asked for a component.
    assert!(paths(&registry.requests()).iter().all(|path| !path.contains("/blobs/")));
}

#[test]
fn what_is_too_large_is_not_read_to_its_end() {
    let (registry, client) = (Registry::start(Access::Everybody), Client::new());
    let mut large = manifest(COMPONENT);
    large["layers"][0]["size"] = json!((32 << 20) + 1);
    registry.put_manifest("large", &large);
    let error = client.fetch(&registry.tagged("large")).unwrap_err();
    assert!(matches!(error, OciError::TooLarge { what: "component", limit: 0x200_0000, .. }), "{error}");
    assert!(paths(&registry.requests()).iter().all(|path| !path.contains("/blobs/")), "it was not asked for");

    // One that is longer than it claims to be.
    let mut small = manifest(COMPONENT);
    small["layers"][0]["size"] = json!(10);
    registry.push("small", COMPONENT);
    registry.put_manifest("small", &small);
    let error = client.fetch(&registry.tagged("small")).unwrap_err();
    assert!(matches!(error, OciError::TooLarge { what: "component", limit: 10, .. }), "{error}");

    registry.put("manifests/huge", "", &vec![b' '; (4 << 20) + 1]);
    let error = client.fetch(&registry.tagged("huge")).unwrap_err();
    assert!(matches!(error, OciError::TooLarge { what: "manifest", .. }), "{error}");
}

#[test]
fn what_is_not_there_or_not_reached_is_told() {
    let (registry, client) = (Registry::start(Access::Everybody), Client::new());
    let error = client.fetch(&registry.tagged("1.0")).unwrap_err();
    assert_eq!(error.to_string(), format!("the registry `{}` has no `1.0` of `{REPOSITORY}`", registry.address()));
    // A component that is gone.
    registry.put_manifest("1.0", &manifest(COMPONENT));
    let error = client.fetch(&registry.tagged("1.0")).unwrap_err();
    assert!(matches!(&error, OciError::NotFound { what, .. } if what.starts_with("sha256:")), "{error}");
    // What passes is waited for.
    registry.push("2.0", COMPONENT);
    registry.is_busy(2);
    client.fetch(&registry.tagged("2.0")).unwrap();
    registry.push("3.0", b"another");
    registry.is_busy(3);
    assert!(matches!(client.fetch(&registry.tagged("3.0")), Err(OciError::Status { status: 503, .. })));
    // Nobody listens on the port 1.
    let error = client.fetch("oci://127.0.0.1:1/acme/redact:1").unwrap_err();
    assert!(matches!(error, OciError::Network { .. }), "{error}");
    let error = client.offline("oci://127.0.0.1:1/acme/redact:1").unwrap_err();
    assert!(error.hint().unwrap().contains("HF_HUB_OFFLINE"), "{error}");
}

#[test]
fn references_are_read_or_refused() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for text in [
        "oci://ghcr.io/acme/redact:1.0".to_owned(),
        "oci://localhost/a:latest".to_owned(),
        format!("oci://registry:5000/a-b/c_d/e.f@{digest}"),
        format!("oci://docker.io/acme/redact:v1@{digest}"),
    ] {
        let source = PluginSource::parse(&text).unwrap();
        assert_eq!((source.to_string(), source.resolved_from("/base".as_ref()).to_string()), (text.clone(), text));
    }
    for wrong in [
        "oci://ghcr.io/acme/redact",
        "oci://ghcr.io/acme/redact:",
        "oci://ghcr.io/acme/redact@sha256:00",
        "oci://ghcr.io/acme/redact@sha512:00",
        "oci://ghcr.io/Acme/redact:1",
        "oci://ghcr.io/../redact:1",
        "oci://ghcr.io/acme//redact:1",
        "oci://ghcr.io/acme/redact:1/../2",
        "oci://ghcr.io/acme/redact:..",
        "oci://acme/redact:1",
        "oci://ghcr.io",
        "oci://ghcr.io:0/acme/redact:1",
        "oci://ghcr.io:port/acme/redact:1",
        "oci://me@ghcr.io/acme/redact:1",
        "oci://ghcr.io/acme/redact?a=b:1",
        "oci://",
    ] {
        let error = PluginSource::parse(wrong).unwrap_err();
        assert!(matches!(error, SourceError::Oci { .. }), "{wrong}: {error}");
    }
}
