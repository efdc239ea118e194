//! A client of registries that reads (<https://github.com/opencontainers/distribution-spec>): manifests and blobs, with
//! the token that a registry may ask for first.

use std::io::Read;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use indicatif::ProgressBar;
use serde_json::Value;
use ureq::http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use ureq::http::{HeaderValue, Response, Uri};
use ureq::{Agent, Body};

use super::error::OciError;
use super::manifest::{ACCEPTED, Layer};
use super::reference::OciReference;

/// Bytes of a manifest, at most: what registries take.
const LARGEST_MANIFEST: u64 = 4 << 20;

/// Bytes of a token's answer, at most.
const LARGEST_TOKEN: u64 = 1 << 20;

/// How often something is asked for, in all, where the failure may pass.
const ATTEMPTS: u32 = 3;

/// The wait before the second attempt; doubled before the third.
const PAUSE: Duration = Duration::from_millis(250);

/// The time for a component, in times of the patience for anything else.
const BODY: u32 = 20;

/// The repository of an artifact in its registry.
pub(crate) struct Registry<'a> {
    reference: &'a OciReference,
    agent: Agent,
    /// `https://HOST/v2/NAME`.
    base: String,
    /// `Basic ...`, as docker keeps it.
    credentials: Option<HeaderValue>,
    /// What the registry asked for.
    authorization: Option<HeaderValue>,
}

impl<'a> Registry<'a> {
    /// Opens no connection.
    ///
    /// # Errors
    /// Where the file `docker` with credentials is broken.
    pub(crate) fn new(
        reference: &'a OciReference,
        docker: Option<&Path>,
        patience: Duration,
    ) -> Result<Self, OciError> {
        let is_local = is_local(&reference.registry);
        let agent = Agent::config_builder()
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_recv_body(Some(patience.saturating_mul(BODY)))
            .http_status_as_error(false)
            // A blob may be in a store elsewhere, to which ureq passes no credentials on.
            .https_only(!is_local)
            .user_agent(concat!("runtime/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let scheme = if is_local { "http" } else { "https" };
        let host = if reference.registry == "docker.io" { "registry-1.docker.io" } else { &reference.registry };
        let base = format!("{scheme}://{host}/v2/{}", reference.repository);
        let credentials = docker.map_or(Ok(None), |path| credentials(path, &reference.registry))?;
        Ok(Self { reference, agent, base, credentials, authorization: None })
    }

    /// The bytes of the manifest, not yet checked.
    ///
    /// # Errors
    /// Whatever kept it from being downloaded.
    pub(crate) fn manifest(&mut self) -> Result<Vec<u8>, OciError> {
        let OciReference { tag, digest, .. } = self.reference;
        let what = digest.as_ref().map(ToString::to_string).or_else(|| tag.clone()).unwrap_or_default();
        let response = self.get(&format!("manifests/{what}"), &what, ACCEPTED)?;
        self.read(response, "manifest", LARGEST_MANIFEST, &ProgressBar::hidden())
    }

    /// The bytes of a component, no more than it claims to have, not yet checked.
    ///
    /// # Errors
    /// Whatever kept it from being downloaded.
    pub(crate) fn blob(&mut self, layer: &Layer, progress: bool) -> Result<Vec<u8>, OciError> {
        let what = layer.digest.to_string();
        let response = self.get(&format!("blobs/{what}"), &what, "*/*")?;
        let bar = if progress { ProgressBar::new(layer.size) } else { ProgressBar::hidden() };
        let bytes = self.read(response, "component", layer.size, &bar);
        bar.finish_and_clear();
        bytes
    }

    fn read(
        &self,
        response: Response<Body>,
        what: &'static str,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Vec<u8>, OciError> {
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        bar.wrap_read(body.take(limit + 1)).read_to_end(&mut bytes).map_err(|error| self.network(error))?;
        if bytes.len() as u64 > limit {
            return Err(OciError::TooLarge { reference: self.reference.clone(), what, limit });
        }
        Ok(bytes)
    }

    /// An answer with what was asked for.
    fn get(&mut self, path: &str, what: &str, accept: &str) -> Result<Response<Body>, OciError> {
        let (reference, address) = (self.reference, format!("{}/{path}", self.base));
        let mut pause = PAUSE;
        let mut attempts = 1;
        loop {
            let mut request = self.agent.get(&address).header(ACCEPT, accept);
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let error = match request.call() {
                Ok(response) => match response.status().as_u16() {
                    200 => return Ok(response),
                    401 if self.authorization.is_none() => {
                        self.authorization = Some(self.answer(&response)?);
                        continue;
                    }
                    status @ (401 | 403) => return Err(self.refused(status)),
                    404 => return Err(OciError::NotFound { reference: reference.clone(), what: what.to_owned() }),
                    status => {
                        let error = OciError::Status { reference: reference.clone(), status };
                        if status != 429 && status < 500 {
                            return Err(error);
                        }
                        error
                    }
                },
                Err(error) => self.network(error),
            };
            if attempts == ATTEMPTS {
                return Err(error);
            }
            attempts += 1;
            thread::sleep(pause);
            pause *= 2;
        }
    }

    /// What a registry that asks who is there is told: the credentials, or the token that another address gives for them,
    /// or to nobody in particular.
    fn answer(&self, response: &Response<Body>) -> Result<HeaderValue, OciError> {
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<(&str, &str)> = challenges.filter_map(|value| value.trim().split_once(' ')).collect();
        let of = |scheme: &str| challenges.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        match (of("Bearer"), of("Basic"), &self.credentials) {
            (Some((_, parameters)), _, _) => self.token(parameters),
            (None, Some(_), Some(credentials)) => Ok(credentials.clone()),
            _ => Err(self.refused(response.status().as_u16())),
        }
    }

    fn token(&self, parameters: &str) -> Result<HeaderValue, OciError> {
        let wrong = |reason: String| OciError::Challenge { reference: self.reference.clone(), reason };
        let realm = parameter(parameters, "realm").ok_or_else(|| wrong("no realm is named".to_owned()))?;
        // The agent refuses to send anything unencrypted, but for a registry of this machine, whose realm is here too.
        let address: Uri = realm.parse().map_err(|_| wrong(format!("the realm `{realm}` is no address")))?;
        if address.scheme_str() != Some("https") && !address.host().is_some_and(is_local) {
            return Err(wrong(format!("the realm `{realm}` is not encrypted")));
        }
        let scope = format!("repository:{}:pull", self.reference.repository);
        let mut request = self.agent.get(realm).query("scope", scope);
        if let Some(service) = parameter(parameters, "service") {
            request = request.query("service", service);
        }
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        let response = request.call().map_err(|error| self.network(error))?;
        match response.status().as_u16() {
            200 => {}
            status @ (401 | 403) => return Err(self.refused(status)),
            status => return Err(OciError::Status { reference: self.reference.clone(), status }),
        }
        let bytes = self.read(response, "token", LARGEST_TOKEN, &ProgressBar::hidden())?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("the token: {error}")))?;
        let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(Value::as_str);
        let token = token.ok_or_else(|| wrong("there is no token".to_owned()))?;
        secret(&format!("Bearer {token}")).ok_or_else(|| wrong("the token cannot be sent".to_owned()))
    }

    fn refused(&self, status: u16) -> OciError {
        OciError::Refused { reference: self.reference.clone(), status, known: self.credentials.is_some() }
    }

    fn network(&self, error: impl std::error::Error + Send + Sync + 'static) -> OciError {
        OciError::Network { reference: self.reference.clone(), source: Box::new(error) }
    }
}

/// Whether a host, with a port if need be, is this machine, which is reached unencrypted.
fn is_local(host: &str) -> bool {
    matches!(host.split(':').next(), Some("localhost" | "127.0.0.1"))
}

/// The value of a parameter of a challenge: `name="value",other=value`.
fn parameter<'t>(mut parameters: &'t str, wanted: &str) -> Option<&'t str> {
    loop {
        let (name, rest) = parameters.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if name.trim_matches([' ', ',']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        parameters = rest;
    }
}

/// What docker's `config.json` has for a registry. Its helpers are programs, which are not run.
fn credentials(path: &Path, registry: &str) -> Result<Option<HeaderValue>, OciError> {
    let wrong = |reason: String| OciError::Credentials { path: path.to_owned(), reason };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let config: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let known = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    let entry = |name: &str| config.get("auths")?.get(name)?.get("auth")?.as_str();
    match entry(known).or_else(|| entry(&format!("https://{known}"))).filter(|auth| !auth.is_empty()) {
        Some(auth) => secret(&format!("Basic {auth}")).map(Some).ok_or_else(|| wrong(format!("those of `{registry}`"))),
        None => Ok(None),
    }
}

/// A value that is never shown.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_challenges_are_read() {
        let challenge =
            r#"realm="https://auth.docker.io/token?a=b,c",service=registry.docker.io, Scope="a:b:pull,push""#;
        assert_eq!(parameter(challenge, "realm"), Some("https://auth.docker.io/token?a=b,c"));
        assert_eq!(parameter(challenge, "service"), Some("registry.docker.io"));
        assert_eq!(parameter(challenge, "scope"), Some("a:b:pull,push"));
        assert_eq!(parameter(challenge, "error"), None);
        assert_eq!(parameter(r#"realm="https"#, "realm"), None);
    }
}
