//! Models behind endpoints: a pipeline's `[models.NAME]` with a `provider`.
//!
//! [`Hosted`] is such a model, shared by all that ask it, generations under `--watch` included, so that no more requests
//! are under way than it may have. [`HostedChooser`] asks it for a label, [`HostedWriter`] for a text. What no answer comes
//! of is the error of one record.

mod chooser;
mod named;
mod writer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use runtime_pipeline as pipeline;
use runtime_provider::{ChatClient, ChatReply, ChatRequest, Endpoint};
use sha2::{Digest, Sha256};

use crate::Error;

pub(crate) use chooser::HostedChooser;
pub(crate) use writer::HostedWriter;

/// Bytes that a remembered answer is taken to need.
const REMEMBERED: usize = 512;

/// A model behind an endpoint.
pub(crate) struct Hosted {
    client: ChatClient,
    /// Whether it has refused to answer in a given form, or to tell probabilities.
    plain: AtomicBool,
    /// What it chose, by the digest of what it was asked.
    choices: Mutex<HashMap<[u8; 32], Choice>>,
    /// How many of these are kept.
    capacity: usize,
}

/// A label that was chosen, if the answer names one, and its probability, if that is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) label: Option<String>,
    pub(crate) score: Option<f32>,
}

impl Hosted {
    /// A model that nothing has been asked of. `memo` is how many bytes of choices are remembered.
    ///
    /// # Errors
    /// Where its address or its key is unfit, or the environment variable that is to hold the key is not set.
    pub(crate) fn new(endpoint: Endpoint, memo: usize) -> Result<Self, Error> {
        endpoint.check()?;
        let client = ChatClient::new(endpoint)?;
        if let Some(variable) = client.endpoint().api_key_env.as_ref().filter(|_| !client.has_key()) {
            return Err(Error::NoKey { variable: variable.clone() });
        }
        let capacity = memo / REMEMBERED;
        Ok(Self { client, plain: AtomicBool::new(false), choices: Mutex::default(), capacity })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// The model's name at its endpoint.
    fn model(&self) -> &str {
        &self.endpoint().model
    }

    async fn ask(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        let failed = |source| Error::Hosted { model: self.model().to_owned(), source };
        self.client.ask(request).await.map_err(failed)
    }

    /// Asks with all that `request` has of forms and probabilities, or, where the endpoint refuses that, without.
    async fn ask_in_form(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        let plain = ChatRequest { messages: request.messages.clone(), ..ChatRequest::default() };
        if self.plain.load(Ordering::Relaxed) {
            return self.ask(plain).await;
        }
        match self.ask(request).await {
            Err(Error::Hosted { source: runtime_provider::Error::Status { status: 400 | 422, .. }, .. }) => {}
            other => return other,
        }
        let reply = self.ask(plain).await?;
        self.plain.store(true, Ordering::Relaxed);
        Ok(reply)
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Choice> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember(&self, key: [u8; 32], choice: &Choice) {
        if self.capacity == 0 {
            return;
        }
        let mut choices = self.choices.lock().unwrap_or_else(PoisonError::into_inner);
        if choices.len() >= self.capacity {
            choices.clear();
        }
        choices.insert(key, choice.clone());
    }
}

/// What tells one question from another.
fn digest(request: &ChatRequest) -> [u8; 32] {
    let mut hash = Sha256::new();
    for value in request.messages.iter().chain(&request.json_schema) {
        // JSON on one line each, so that no two questions are written alike.
        hash.update(value.to_string());
        hash.update("\n");
    }
    hash.finalize().into()
}

/// The endpoint that a pipeline names, with the client's defaults.
pub(crate) fn endpoint_of(named: &pipeline::Endpoint) -> Endpoint {
    let defaults = Endpoint::new(named.base_url.trim(), &named.model);
    Endpoint {
        api_key_env: named.api_key_env.as_ref().map(|name| name.value.clone()).or(defaults.api_key_env),
        timeout: named.timeout.unwrap_or(defaults.timeout),
        retries: named.retries.unwrap_or(defaults.retries),
        concurrency: named.concurrency.unwrap_or(defaults.concurrency),
        allow_plain_http: named.allow_plain_http,
        ..defaults
    }
}
