//! A hub on this machine: answers as the public one does, remembers what it was asked, misbehaves on demand.
//!
//! Files ending in `.safetensors` are redirected to another path with an absolute address, as the hub redirects
//! large files to its storage; all others are sent at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// What the server does other than answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The first transfer of a large file ends after half of it.
    Cut,
    /// Large files stop after half of them, the connection stays open.
    Stall,
    /// Nothing is answered at all.
    Silent,
    /// Files come from another commit than the one listed.
    OtherCommit,
    /// Files are refused, the list is not: a gated model.
    Gated,
}

/// One request, as far as the tests look at it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

struct State {
    address: String,
    files: BTreeMap<String, Vec<u8>>,
    token: Option<String>,
    fault: Fault,
    requests: Mutex<Vec<Request>>,
}

/// A server of the model `org/name`, whose branch `main` is at [`COMMIT`]. Its thread ends with the process.
pub(crate) struct Server(Arc<State>);

impl Server {
    pub(crate) fn start(files: &[(&str, &[u8])], token: Option<&str>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            address: format!("http://{}", listener.local_addr().unwrap()),
            files: files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect(),
            token: token.map(|token| format!("Bearer {token}")),
            fault,
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

    pub(crate) fn endpoint(&self) -> String {
        self.0.address.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.requests.lock().unwrap().clone()
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let request = read_request(&stream)?;
        let seen_before = {
            let mut requests = self.requests.lock().unwrap();
            let transfer = |other: &Request| other.path == request.path && other.range.as_deref() != Some("bytes=0-0");
            let seen = requests.iter().any(transfer);
            requests.push(request.clone());
            seen
        };
        if self.fault == Fault::Silent {
            thread::sleep(Duration::from_secs(20));
            return Ok(());
        }
        if self.token.is_some() && self.token != request.authorization {
            return stream.write_all(&head("401 Unauthorized", 0, &[]));
        }
        if let Some(revision) = request.path.strip_prefix("/api/models/org/name/revision/") {
            return if self.knows(revision) {
                stream.write_all(&self.listing())
            } else {
                stream.write_all(&head("404 Not Found", 0, &[]))
            };
        }
        let resolved = request.path.strip_prefix("/org/name/resolve/").and_then(|rest| rest.split_once('/'));
        let stored = request.path.strip_prefix("/storage/");
        let name = match (resolved, stored) {
            (Some((revision, name)), _) if self.knows(revision) => name,
            (_, Some(name)) => name,
            _ => return stream.write_all(&head("404 Not Found", 0, &[])),
        };
        let Some(bytes) = self.files.get(name) else { return stream.write_all(&head("404 Not Found", 0, &[])) };
        let commit = if self.fault == Fault::OtherCommit { COMMIT.replace('8', "7") } else { COMMIT.to_owned() };
        let etag = format!("\"etag-{}\"", name.replace(['/', '.'], "-"));
        if self.fault == Fault::Gated {
            return stream.write_all(&head("403 Forbidden", 0, &[]));
        }
        if stored.is_none() && name.ends_with(".safetensors") {
            let (size, location) = (bytes.len().to_string(), format!("{}/storage/{name}", self.address));
            let headers = [
                ("x-repo-commit", commit.as_str()),
                ("x-linked-etag", &etag),
                ("x-linked-size", &size),
                ("location", &location),
            ];
            return stream.write_all(&head("302 Found", 0, &headers));
        }
        let Some((start, end)) = range(request.range.as_deref(), bytes.len()) else {
            return stream.write_all(&head("416 Range Not Satisfiable", 0, &[]));
        };
        let content_range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
        let headers = [("x-repo-commit", commit.as_str()), ("etag", &etag), ("content-range", &content_range)];
        stream.write_all(&head("206 Partial Content", end - start, &headers))?;
        let body = &bytes[start..end];
        let faulty = stored.is_some() && body.len() > 1;
        match self.fault {
            Fault::Cut if faulty && !seen_before => stream.write_all(&body[..body.len() / 2]),
            Fault::Stall if faulty => {
                stream.write_all(&body[..body.len() / 2])?;
                stream.flush()?;
                thread::sleep(Duration::from_secs(20));
                Ok(())
            }
            _ => stream.write_all(body),
        }
    }

    fn knows(&self, revision: &str) -> bool {
        revision == "main" || revision == COMMIT
    }

    fn listing(&self) -> Vec<u8> {
        let files: Vec<String> = self.files.keys().map(|name| format!(r#"{{"rfilename": "{name}"}}"#)).collect();
        let body = format!(r#"{{"id": "org/name", "sha": "{COMMIT}", "siblings": [{}]}}"#, files.join(", "));
        let mut answer = head("200 OK", body.len(), &[("content-type", "application/json")]);
        answer.extend(body.bytes());
        answer
    }
}

fn head(status: &str, length: usize, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The bytes that a `Range` header asks for; `None` where there are none.
fn range(header: Option<&str>, length: usize) -> Option<(usize, usize)> {
    let Some(header) = header else { return Some((0, length)) };
    let (start, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let start: usize = start.parse().ok()?;
    let end = if last.is_empty() { length } else { length.min(last.parse::<usize>().ok()? + 1) };
    (start < end).then_some((start, end))
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut request =
        Request { path: first.split(' ').nth(1).unwrap_or_default().to_owned(), range: None, authorization: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(request)
}
