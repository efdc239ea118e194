//! One question and its answer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};

use crate::endpoint::{is_openai, is_private};
use crate::error::{is_passing, short};
use crate::key::Key;
use crate::reply::{Said, read};
use crate::{ChatReply, ChatRequest, Endpoint, Error, retry};

/// Bytes of an answer, at most.
const LARGEST: u64 = 16 << 20;

/// Bytes of a failure's answer that are read for its message, at most.
const LARGEST_MESSAGE: u64 = 64 << 10;

/// An endpoint's client. Clones share its connections.
#[derive(Clone, Debug)]
pub struct ChatClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    address: Uri,
    /// The address, as messages have it.
    named: String,
    key: Option<Key>,
    agent: Agent,
    places: Arc<Semaphore>,
}

/// One attempt that did not succeed.
enum Failure {
    /// Another may; it is asked to wait so long.
    Passing(Error, Option<Duration>),
    Final(Error),
}

impl ChatClient {
    /// A client, with the key that is in the environment now. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the address is none, the key is unfit, or would be sent unencrypted to another machine.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let address = endpoint.address()?;
        let key = endpoint.api_key_env.as_deref().map(Key::from_env).transpose()?.flatten();
        if let (Some(_), Some(variable)) = (&key, &endpoint.api_key_env)
            && !is_private(&address)
            && !endpoint.allow_plain_http
        {
            let host = address.host().unwrap_or_default().to_owned();
            return Err(Error::Plain { variable: variable.clone(), host });
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(endpoint.timeout))
            .http_status_as_error(false)
            // What is posted, and the key with it, goes where it was sent and nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("runtime/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let places = Arc::new(Semaphore::new(endpoint.concurrency.max(1)));
        Ok(Self(Arc::new(Inner { named: short(&endpoint.base_url), endpoint, address, key, agent, places })))
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Asks, and blocks the thread until there is an answer or none will come: no longer than the time limit for each
    /// attempt, and the waits between them. `concurrency` is not looked at.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn chat(&self, request: &ChatRequest) -> Result<ChatReply, Error> {
        let (_asker, given_up) = channel();
        self.0.chat(request, &given_up)
    }

    /// The same as a future, for any executor: a thread of its own waits for the answer. Where the future is dropped, no
    /// further attempt is made, and what comes of the one under way is passed over.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn ask(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| Error::Cancelled)?;
        let (asker, given_up): (Sender<()>, _) = channel();
        let (sender, answer) = oneshot::channel();
        let inner = Arc::clone(&self.0);
        let wait = move || {
            // Whoever asked may have gone.
            drop(sender.send(inner.chat(&request, &given_up)));
            drop(place);
        };
        let failed = |source| Error::Network { endpoint: self.0.named.clone(), attempts: 0, source: Box::new(source) };
        thread::Builder::new().name("chat".to_owned()).spawn(wait).map_err(failed)?;
        let answer = answer.await.map_err(|_| Error::Cancelled)?;
        drop(asker);
        answer
    }
}

impl Inner {
    /// `given_up` is disconnected once nobody waits any more.
    fn chat(&self, request: &ChatRequest, given_up: &Receiver<()>) -> Result<ChatReply, Error> {
        let begin = Instant::now();
        let body = request.body(&self.endpoint.model, is_openai(&self.address)).to_string();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, asked) = match self.attempt(&body, attempts) {
                Ok(Said::Reply { text, finish, usage, logprobs }) => {
                    return Ok(ChatReply { text, finish, usage, logprobs, attempts, time: begin.elapsed() });
                }
                Ok(Said::Refusal(message)) => return Err(Error::Refusal { message: self.told(&message) }),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error, asked)) => (error, asked),
            };
            let wait = asked.unwrap_or_else(|| retry::growing(self.endpoint.pause, attempts + 1));
            if attempts > self.endpoint.retries || wait > retry::LONGEST {
                return Err(error);
            }
            if given_up.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return Err(Error::Cancelled);
            }
        }
    }

    fn attempt(&self, body: &str, attempts: u32) -> Result<Said, Failure> {
        let endpoint = || self.named.clone();
        let mut request = self.agent.post(&self.address).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key
            && let Ok(value) = key.header()
        {
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = request.send(body).map_err(|error| self.failure(error, attempts))?;
        let status = response.status().as_u16();
        if status != 200 {
            let asked = retry::asked(response.headers(), SystemTime::now());
            let message = response.body_mut().with_config().limit(LARGEST_MESSAGE).lossy_utf8(true).read_to_string();
            let message = self.told(&message_of(&message.unwrap_or_default()));
            if matches!(status, 401 | 403) {
                let (variable, sent) = (self.endpoint.api_key_env.clone(), self.key.is_some());
                return Err(Failure::Final(Error::Denied { endpoint: endpoint(), status, message, variable, sent }));
            }
            let wait = asked.filter(|wait| *wait > retry::LONGEST);
            let error = Error::Status { endpoint: endpoint(), status, message, attempts, wait };
            return Err(if is_passing(status) { Failure::Passing(error, asked) } else { Failure::Final(error) });
        }
        let text = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let text = text.map_err(|error| self.failure(error, attempts))?;
        let malformed = |reason: String| Failure::Final(Error::Malformed { endpoint: endpoint(), reason });
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| malformed(format!("it is no JSON: {error}")))?;
        read(&value).map_err(|reason| malformed(reason.to_owned()))
    }

    fn failure(&self, error: ureq::Error, attempts: u32) -> Failure {
        let endpoint = self.named.clone();
        match error {
            ureq::Error::Timeout(_) => Failure::Final(Error::TimedOut { endpoint, limit: self.endpoint.timeout }),
            ureq::Error::BodyExceedsLimit(limit) => Failure::Final(Error::TooLarge { endpoint, limit }),
            error @ (ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::InvalidProxyUrl) => {
                Failure::Final(Error::Network { endpoint, attempts, source: Box::new(error) })
            }
            error => Failure::Passing(Error::Network { endpoint, attempts, source: Box::new(error) }, None),
        }
    }

    /// A text of the endpoint, fit to be shown.
    fn told(&self, text: &str) -> String {
        short(&self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.strike(text)))
    }
}

/// What a failure's answer says: its `error.message`, as OpenAI has it, or what others have.
fn message_of(body: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places.iter().find_map(|place| value.pointer(place)?.as_str());
    found.map_or_else(|| body.to_owned(), str::to_owned)
}
