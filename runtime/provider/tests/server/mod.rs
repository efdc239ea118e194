//! An endpoint on this machine, which gives one answer after the other, and the last of them from then on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It is answered.
    Whole { status: u16, headers: String, body: Vec<u8> },
    /// After a while.
    Late(Duration, Box<Answer>),
    /// The connection is closed at once.
    Cut,
    /// It is closed in the middle of the answer.
    CutBody,
    /// Nothing is said.
    Silent,
    /// Nothing more is said after the first half.
    Stalled,
    /// A byte is said now and then.
    Dripping,
    /// The answer does not end.
    Endless { status: u16 },
}

impl Answer {
    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Whole { status, headers: String::new(), body: body.as_bytes().to_vec() }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::json(&json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}))
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.body).expect("it is JSON")
    }
}

struct State {
    answers: Vec<Answer>,
    requests: Mutex<Vec<Request>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// The endpoint. Its threads end with the process.
pub(crate) struct Server {
    address: String,
    state: Arc<State>,
}

impl Server {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (requests, under_way, most) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let state = Arc::new(State { answers, requests, under_way, most });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that hangs up early is no failure of the server.
                thread::spawn(move || drop(state.serve(stream)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("nobody panics").clone()
    }

    /// Requests that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

impl State {
    /// One request for each connection.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let pair = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: Vec<(String, String)> = lines.iter().filter_map(pair).collect();
        let length =
            headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let request = Request { line: lines.first().cloned().unwrap_or_default(), headers, body };
        let answer = {
            let mut requests = self.requests.lock().expect("nobody panics");
            requests.push(request);
            self.answers[(requests.len() - 1).min(self.answers.len() - 1)].clone()
        };
        self.most.fetch_max(self.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        answer.write(&mut stream, || {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        })
    }
}

impl Answer {
    /// `before` is called before the last byte.
    fn write(self, stream: &mut TcpStream, before: impl FnOnce()) -> std::io::Result<()> {
        let head = |status: u16, headers: &str, length: usize| {
            format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")
        };
        match self {
            Self::Whole { status, headers, body } => {
                before();
                stream.write_all(head(status, &headers, body.len()).as_bytes())?;
                stream.write_all(&body)
            }
            Self::Late(wait, answer) => {
                thread::sleep(wait);
                answer.write(stream, before)
            }
            Self::Cut => Ok(()),
            Self::CutBody => stream.write_all(format!("{}{{\"choices\"", head(200, "", 1000)).as_bytes()),
            Self::Silent => {
                thread::sleep(Duration::from_secs(30));
                Ok(())
            }
            Self::Stalled => {
                stream.write_all(format!("{}{{\"choices\"", head(200, "", 1000)).as_bytes())?;
                thread::sleep(Duration::from_secs(30));
                Ok(())
            }
            Self::Dripping => {
                stream.write_all(head(200, "", 1000).as_bytes())?;
                loop {
                    stream.write_all(b" ")?;
                    thread::sleep(Duration::from_millis(50));
                }
            }
            Self::Endless { status } => {
                stream.write_all(format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n\r\n").as_bytes())?;
                loop {
                    stream.write_all(&[b'x'; 1 << 16])?;
                }
            }
        }
    }
}
