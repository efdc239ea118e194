//! Where an endpoint is, and how patient to be with it.

use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;

use crate::Error;

/// The host whose key is in `OPENAI_API_KEY`, and to which alone that is sent without being asked for.
const OPENAI: &str = "api.openai.com";

/// An endpoint and a model there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What `/chat/completions` is appended to, such as `https://api.openai.com/v1` or `http://localhost:8080/v1`.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key; without one, or where it is empty, no key is sent.
    pub api_key_env: Option<String>,
    /// How long one attempt may take, its answer included.
    pub timeout: Duration,
    /// How often what is passing is tried again.
    pub retries: u32,
    /// The wait before the first of these, doubled before each other.
    pub pause: Duration,
    /// Whether a key may be sent unencrypted to other machines.
    pub allow_plain_http: bool,
    /// Requests that are under way at once, at most; others wait.
    pub concurrency: usize,
}

impl Endpoint {
    /// An endpoint with 60 seconds for each attempt, 2 retries from 0.5 seconds on, and 8 requests at once. OpenAI's own
    /// has its key in `OPENAI_API_KEY`, others have none.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        let base_url = base_url.into();
        let is_openai = base_url.parse::<Uri>().is_ok_and(|uri| is_openai(&uri));
        Self {
            api_key_env: is_openai.then(|| "OPENAI_API_KEY".to_owned()),
            base_url,
            model: model.into(),
            timeout: Duration::from_secs(60),
            retries: 2,
            pause: Duration::from_millis(500),
            allow_plain_http: false,
            concurrency: 8,
        }
    }

    /// Where chats are completed.
    ///
    /// # Errors
    /// Where the address is none, or holds what does not belong there.
    pub(crate) fn address(&self) -> Result<Uri, Error> {
        let wrong = |reason: &str| Error::Address { reason: reason.to_owned() };
        let base: Uri = self.base_url.trim().parse().map_err(|error| wrong(&format!("{error}")))?;
        if !matches!(base.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it begins with neither `https://` nor `http://`"));
        }
        // It would stand in every message.
        if base.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(wrong("it has a name or password in it; keys are taken from the environment"));
        }
        if base.query().is_some() {
            return Err(wrong("it has a `?` in it"));
        }
        let whole = format!("{}/chat/completions", self.base_url.trim().trim_end_matches('/'));
        whole.parse().map_err(|error| wrong(&format!("{error}")))
    }
}

/// Whether it is OpenAI's own.
pub(crate) fn is_openai(address: &Uri) -> bool {
    address.host() == Some(OPENAI)
}

/// Whether what is sent there stays on this machine or is encrypted.
pub(crate) fn is_private(address: &Uri) -> bool {
    let host = address.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    address.scheme_str() == Some("https")
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_follows_the_base() {
        for base in ["https://api.openai.com/v1", "https://api.openai.com/v1/", " https://api.openai.com/v1//"] {
            let address = Endpoint::new(base, "m").address().expect("it is one");
            assert_eq!(address.to_string(), "https://api.openai.com/v1/chat/completions");
        }
        for base in
            ["api.openai.com/v1", "ftp://host/v1", "https://", "https://user:secret@host/v1", "https://host/v1?key=x"]
        {
            let error = Endpoint::new(base, "m").address().expect_err("it is none").to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn only_openai_has_a_key_unasked() {
        assert_eq!(Endpoint::new("https://api.openai.com/v1", "m").api_key_env.as_deref(), Some("OPENAI_API_KEY"));
        assert_eq!(Endpoint::new("https://api.openai.com.example.org/v1", "m").api_key_env, None);
    }

    #[test]
    fn private_is_what_is_encrypted_or_stays_here() {
        let private = |address: &str| is_private(&address.parse().expect("an address"));
        assert!(private("https://example.org/v1") && private("http://localhost:80/v1"));
        assert!(private("http://127.0.0.1:8080/v1") && private("http://[::1]:8080/v1"));
        assert!(!private("http://example.org/v1") && !private("http://10.0.0.1/v1"));
        assert!(!private("http://localhost.example.org/v1") && !private("http://127.0.0.1.example.org/"));
    }
}
