//! An endpoint on this machine that answers chat completions as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer with this text.
    Text(String),
    /// This status and body.
    Status(u16, String),
    /// Nothing is said.
    Silence,
}

impl Reply {
    /// An answer with this text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// An answer that is JSON.
    pub fn json(value: &Value) -> Self {
        Self::Status(200, value.to_string())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The first line and the headers, the names of the latter in lower case.
    pub head: Vec<String>,
    /// The body.
    pub body: Value,
}

impl Asked {
    /// What the user says last.
    pub fn prompt(&self) -> &str {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default()
    }
}

/// The endpoint. Its threads end with the process.
pub struct Endpoint {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

impl Endpoint {
    /// Answers each request with what `answer` makes of it, many at once.
    ///
    /// # Panics
    /// Where there is no port.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, all): (Arc<Answers>, _) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                // A client that hangs up early is no failure of the endpoint.
                thread::spawn(move || drop(serve(stream, &*answer, &all)));
            }
        });
        Self { address, asked }
    }

    /// Its `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far.
    ///
    /// # Panics
    /// Where a thread of the endpoint has panicked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics").clone()
    }
}

/// One request for each connection.
fn serve(mut stream: TcpStream, answer: &Answers, all: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(
                line.split_once(": ")
                    .map_or(line.to_owned(), |(name, value)| format!("{}: {value}", name.to_lowercase())),
            ),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let asked = Asked { head, body: serde_json::from_slice(&body)? };
    let reply = {
        // One after the other, so that an answer may depend on how many there were.
        let mut all = all.lock().expect("nobody panics");
        let reply = answer(&asked);
        all.push(asked);
        reply
    };
    let (status, body) = match reply {
        Reply::Text(text) => {
            let message = json!({"role": "assistant", "content": text});
            let usage = json!({"prompt_tokens": 5, "completion_tokens": 3});
            let body = json!({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage});
            (200, body.to_string())
        }
        Reply::Status(status, body) => (status, body),
        Reply::Silence => {
            thread::sleep(Duration::from_secs(30));
            return Ok(());
        }
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
