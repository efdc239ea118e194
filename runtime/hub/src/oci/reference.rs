//! References to artifacts in OCI registries, parsed once, so that what reaches a path or an address is harmless.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

use crate::SourceError;

/// What a reference begins with.
pub(crate) const SCHEME: &str = "oci://";

/// An artifact of a registry: `oci://REGISTRY/NAME:TAG`, `oci://REGISTRY/NAME@sha256:...`, or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OciReference {
    /// Its host, with a port if need be: `ghcr.io`, `localhost:5000`.
    pub registry: String,
    /// The repository: `org/name`, of any number of parts.
    pub repository: String,
    /// The tag. Where there is a digest too, it is for people alone.
    pub tag: Option<String>,
    /// The digest of the manifest.
    pub digest: Option<Digest>,
}

impl OciReference {
    /// Reads a reference; opens nothing.
    ///
    /// # Errors
    /// Where `text` is none. Without a tag and a digest it is refused rather than taken for `latest`, and the registry is
    /// never guessed.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let wrong = |reason| SourceError::Oci { text: text.to_owned(), reason };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin with `oci://`"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|()| wrong("its digest is not `sha256:` and 64 digits"))?))
            }
            None => (rest, None),
        };
        let (registry, path) = rest.split_once('/').ok_or_else(|| wrong("it names no repository"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !is_host(registry) {
            return Err(wrong("its registry is no host such as `ghcr.io` or `localhost:5000`"));
        }
        if !repository.split('/').all(is_part) || repository.len() > 255 {
            return Err(wrong(
                "its repository is not of small letters, digits, and `.`, `_`, `-` and `/` between them",
            ));
        }
        if !tag.is_none_or(is_tag) {
            return Err(wrong("its tag is not of letters, digits, `_`, `.` and `-`"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong("it has neither a tag nor a digest"));
        }
        let [registry, repository] = [registry, repository].map(str::to_owned);
        Ok(Self { registry, repository, tag: tag.map(str::to_owned), digest })
    }

    /// The same artifact by the digest of its manifest alone.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// A host with a domain or a port, or this machine: what has neither could be the first part of a name.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(allowed)
    };
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    host.split('.').all(label) && port_is_one && (host.contains('.') || port.is_some() || host == "localhost")
}

fn is_part(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| is_inner(byte) || matches!(byte, b'.' | b'_' | b'-');
    let ends = text.bytes().next().is_some_and(is_inner) && text.bytes().next_back().is_some_and(is_inner);
    ends && text.bytes().all(allowed) && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && text.len() <= 128 && !text.starts_with(['.', '-']) && text.bytes().all(allowed)
}

/// A SHA-256, written `sha256:` and 64 hexadecimal digits in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    const ALGORITHM: &str = "sha256:";

    /// That of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits alone.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix(Self::ALGORITHM).ok_or(())?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() == 64 && digits.bytes().all(is_digit) { Ok(Self(digits.to_owned())) } else { Err(()) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::ALGORITHM, self.0)
    }
}
