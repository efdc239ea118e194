//! An OCI registry on this machine: has the blobs and manifests that it is given, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use runtime_hub::Digest;
use serde_json::{Value, json};

pub(crate) const REPOSITORY: &str = "acme/plugins/redact";
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(crate) const WASM: &str = "application/wasm";

/// Who may read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Everybody,
    /// Whoever has fetched a token, which everybody gets.
    Token,
    /// Whoever fetched a token with these credentials.
    TokenFor(&'static str),
    /// Whoever sends these credentials.
    Basic(&'static str),
    /// Whoever has a token of a place that is not encrypted, and elsewhere.
    Realm(&'static str),
}

/// One request, as far as the tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

struct State {
    address: String,
    access: Access,
    /// By what follows `/v2/REPOSITORY/`: a media type and a body.
    has: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    /// So many answers are 503 first.
    busy: Mutex<usize>,
    requests: Mutex<Vec<Request>>,
}

/// Its thread ends with the process.
pub(crate) struct Registry(Arc<State>);

impl Registry {
    pub(crate) fn start(access: Access) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            address: listener.local_addr().unwrap().to_string(),
            access,
            has: Mutex::default(),
            busy: Mutex::default(),
            requests: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                // A client that hangs up early is no failure of the server.
                thread::spawn(move || state.serve(stream?));
            }
        });
        Self(state)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    pub(crate) fn tagged(&self, tag: &str) -> String {
        format!("oci://{}/{REPOSITORY}:{tag}", self.0.address)
    }

    pub(crate) fn put(&self, path: &str, media_type: &str, body: &[u8]) {
        self.0.has.lock().unwrap().insert(path.to_owned(), (media_type.to_owned(), body.to_vec()));
    }

    /// Has a manifest under a tag and under its digest.
    pub(crate) fn put_manifest(&self, tag: &str, manifest: &Value) -> Digest {
        let (text, digest) = (manifest.to_string(), Digest::of(manifest.to_string().as_bytes()));
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        self.put(&format!("manifests/{tag}"), media_type, text.as_bytes());
        self.put(&format!("manifests/{digest}"), media_type, text.as_bytes());
        digest
    }

    /// Has a component as `wkg` lays it out, under a tag; gives the digest of its manifest.
    pub(crate) fn push(&self, tag: &str, component: &[u8]) -> Digest {
        self.put(&format!("blobs/{}", Digest::of(component)), "application/octet-stream", component);
        self.put_manifest(tag, &manifest(component))
    }

    /// Answers so many requests with 503.
    pub(crate) fn is_busy(&self, times: usize) {
        *self.0.busy.lock().unwrap() = times;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.requests.lock().unwrap().clone()
    }
}

/// The manifest of a component.
pub(crate) fn manifest(component: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": WASM_CONFIG, "digest": Digest::of(b"{}").to_string(), "size": 2 },
        "layers": [{ "mediaType": WASM, "digest": Digest::of(component).to_string(), "size": component.len() }],
    })
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let request = read_request(&stream)?;
        self.requests.lock().unwrap().push(request.clone());
        let mut answer = |status: &str, headers: &str, body: &[u8]| {
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body))
        };
        let sent = request.authorization.as_deref();
        if let Some(query) = request.path.strip_prefix("/token?") {
            let may = match self.access {
                Access::TokenFor(credentials) => sent == Some(&format!("Basic {credentials}")),
                _ => sent.is_none(),
            };
            let asked = query.contains("service=the%20registry") || query.contains("service=the+registry");
            if !asked || !query.contains("scope=repository%3Aacme%2Fplugins%2Fredact%3Apull") {
                return answer("400 Bad Request", "", b"");
            }
            return match may {
                true => answer("200 OK", "", br#"{"token": "a-token", "expires_in": 300}"#),
                false => answer("401 Unauthorized", "", b""),
            };
        }
        let stored = request.path.strip_prefix("/store/");
        let may = match self.access {
            Access::Everybody => true,
            // As with addresses that are signed.
            _ if stored.is_some() => true,
            Access::Basic(credentials) => sent == Some(&format!("Basic {credentials}")),
            _ => sent == Some("Bearer a-token"),
        };
        if !may {
            let challenge = match self.access {
                Access::Basic(_) => "Basic realm=\"acme\"".to_owned(),
                Access::Realm(realm) => format!("Bearer realm=\"{realm}\""),
                _ => format!("Bearer realm=\"http://{}/token\",service=\"the registry\"", self.address),
            };
            return answer("401 Unauthorized", &format!("www-authenticate: {challenge}\r\n"), b"");
        }
        let left = self.busy.lock().unwrap().checked_sub(1);
        if let Some(left) = left {
            *self.busy.lock().unwrap() = left;
            return answer("503 Service Unavailable", "", b"");
        }
        let path = request.path.strip_prefix(&format!("/v2/{REPOSITORY}/"));
        let has = self.has.lock().unwrap().clone();
        match (path.or(stored), path.and_then(|path| has.get(path)), stored.and_then(|path| has.get(path))) {
            // Blobs are elsewhere, as they are at public registries.
            (Some(path), Some(_), _) if path.starts_with("blobs/") => {
                let location = format!("location: http://{}/store/{path}\r\n", self.address);
                answer("307 Temporary Redirect", &location, b"")
            }
            (_, Some((media_type, body)), _) | (_, None, Some((media_type, body))) => {
                answer("200 OK", &format!("content-type: {media_type}\r\n"), body)
            }
            _ => answer("404 Not Found", "", b"{\"errors\": [{\"code\": \"MANIFEST_UNKNOWN\"}]}"),
        }
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut request = Request { path: first.split(' ').nth(1).unwrap_or_default().to_owned(), authorization: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        if name.eq_ignore_ascii_case("authorization") {
            request.authorization = Some(value.to_owned());
        }
    }
    Ok(request)
}
