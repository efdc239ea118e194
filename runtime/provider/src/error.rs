//! Why there is no answer.

use std::time::Duration;

use runtime_diagnostics::{Exit, Explain, printable};

/// A failure of this crate. Texts of an endpoint are cut short, fit to be printed, and without the key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("`base_url` is no address of an endpoint: {reason}")]
    Address {
        /// What is wrong.
        reason: String,
    },
    /// The key would go over the network unencrypted.
    #[error("the key in `{variable}` would be sent to `{host}` unencrypted")]
    Plain {
        /// The environment variable.
        variable: String,
        /// Where it would be sent.
        host: String,
    },
    /// What is in the environment variable is no key.
    #[error("the key in `{variable}` has characters that no key has")]
    Key {
        /// The environment variable.
        variable: String,
    },
    /// The endpoint took too long.
    #[error("`{endpoint}` did not answer within {}", seconds(*.limit))]
    TimedOut {
        /// Its address.
        endpoint: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The connection failed.
    #[error("cannot reach `{endpoint}`{}", times(*.attempts))]
    Network {
        /// Its address.
        endpoint: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoint does not know who asks, or does not let them.
    #[error("`{endpoint}` does not let us in (status {status}){}", colon(.message))]
    Denied {
        /// Its address.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// What it says.
        message: String,
        /// The environment variable that the key is taken from.
        variable: Option<String>,
        /// Whether there is a key in it.
        sent: bool,
    },
    /// The endpoint answers with another status than success.
    #[error("`{endpoint}` answers with status {status}{}{}", times(*.attempts), colon(.message))]
    Status {
        /// Its address.
        endpoint: String,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
        /// How often it was tried.
        attempts: u32,
        /// How long it asks to wait, where that is longer than this program waits.
        wait: Option<Duration>,
    },
    /// An answer is longer than answers are.
    #[error("`{endpoint}` answers with more than {limit} bytes")]
    TooLarge {
        /// Its address.
        endpoint: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// An answer is not what a chat completion is.
    #[error("the answer of `{endpoint}` is no chat completion: {reason}")]
    Malformed {
        /// Its address.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model refuses to answer.
    #[error("the model refuses to answer: {message}")]
    Refusal {
        /// Its words.
        message: String,
    },
    /// Nobody waits for the answer any more.
    #[error("the request was given up")]
    Cancelled,
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Address { .. } | Self::Plain { .. } | Self::Key { .. } | Self::Denied { .. } => Exit::Config,
            Self::Refusal { .. } => Exit::Data,
            Self::Status { status, .. } if !is_passing(*status) => Exit::Config,
            _ => Exit::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Plain { .. } => Some("use `https://`, or allow it where the network is yours alone".to_owned()),
            Self::TimedOut { .. } => Some("raise the time limit, or ask for fewer tokens".to_owned()),
            Self::Denied { variable: Some(variable), sent: false, .. } => {
                Some(format!("the environment variable `{variable}`, which the key is taken from, is empty"))
            }
            Self::Denied { variable: Some(variable), .. } => {
                Some(format!("the key is the one in the environment variable `{variable}`"))
            }
            Self::Denied { variable: None, .. } => {
                Some("no key is sent: name the environment variable that holds it".to_owned())
            }
            Self::Status { wait: Some(wait), .. } => Some(format!("it asks to wait for {}", seconds(*wait))),
            Self::Status { status: 404, .. } => Some("check `base_url` and the model's name".to_owned()),
            _ => None,
        }
    }
}

/// Whether another attempt may well succeed.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// A text of an endpoint, cut short and on one line.
pub(crate) fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    let cut = if short.len() < line.len() { "…" } else { "" };
    format!("{}{cut}", printable(&short))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn times(attempts: u32) -> String {
    if attempts > 1 { format!(", tried {attempts} times") } else { String::new() }
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
