//! Why an artifact of a registry cannot be had.

use std::error::Error as StdError;
use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain, printable};

use super::reference::{Digest, OciReference};

/// What went wrong while finding or downloading an artifact.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The cache lacks it, and the network may not be used.
    #[error("`{reference}` is not in the cache `{}`, and the network may not be used", .cache.display())]
    Missing {
        /// The artifact.
        reference: OciReference,
        /// The cache folder that was looked in.
        cache: PathBuf,
    },
    /// The registry has no such repository, tag or blob.
    #[error("the registry `{}` has no `{what}` of `{}`", .reference.registry, .reference.repository)]
    NotFound {
        /// The artifact.
        reference: OciReference,
        /// A tag or a digest.
        what: String,
    },
    /// The registry refused (HTTP status 401 or 403).
    #[error("the registry `{}` refused access to `{}` (status {status})", .reference.registry, .reference.repository)]
    Refused {
        /// The artifact.
        reference: OciReference,
        /// 401 or 403.
        status: u16,
        /// Whether credentials were sent.
        known: bool,
    },
    /// An index of artifacts for several platforms.
    #[error("`{reference}` is an index of several manifests, and plugins are the same for all platforms")]
    Index {
        /// What was asked for.
        reference: OciReference,
    },
    /// An artifact that holds no component as plugins are laid out.
    #[error("`{reference}` is no plugin: {}", printable(.reason))]
    NoPlugin {
        /// The artifact.
        reference: OciReference,
        /// What it is instead.
        reason: String,
    },
    /// A component or a manifest that is larger than a plugin can be.
    #[error("the {what} of `{reference}` is larger than {limit} bytes")]
    TooLarge {
        /// The artifact.
        reference: OciReference,
        /// Manifest, component or answer.
        what: &'static str,
        /// What there can be, in bytes.
        limit: u64,
    },
    /// What arrived is not what was asked for.
    #[error("the {what} of `{reference}` that `{}` gave is {found}, not {expected}", .reference.registry)]
    OtherDigest {
        /// The artifact.
        reference: OciReference,
        /// Manifest or component.
        what: &'static str,
        /// The digest that it must have.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// How the registry asks for credentials is not understood, or not safe.
    #[error("how the registry `{}` asks who is there is not understood: {}", .reference.registry, printable(.reason))]
    Challenge {
        /// The artifact.
        reference: OciReference,
        /// What is wrong.
        reason: String,
    },
    /// Another status.
    #[error("the registry `{}` answered with the status {status}", .reference.registry)]
    Status {
        /// The artifact.
        reference: OciReference,
        /// The status.
        status: u16,
    },
    /// The registry cannot be reached, or falls silent.
    #[error("`{reference}` cannot be downloaded")]
    Network {
        /// The artifact.
        reference: OciReference,
        /// What failed.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The file with credentials is broken.
    #[error("the credentials in `{}` are not understood: {reason}", .path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not. It tells no secret.
        reason: String,
    },
}

impl Explain for OciError {
    fn exit(&self) -> Exit {
        match self {
            Self::Credentials { .. } => Exit::Config,
            _ => Exit::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => "unset HF_HUB_OFFLINE to download it; a digest is asked for once".to_owned(),
            Self::Refused { known: false, .. } => {
                "check the name; `docker login` or `podman login --authfile` writes credentials that are read, but for \
                 those kept by helpers"
                    .to_owned()
            }
            Self::Refused { .. } => "the credentials in docker's `config.json` may not read it".to_owned(),
            Self::Index { .. } => "name one of its manifests by its digest: `@sha256:...`".to_owned(),
            Self::NoPlugin { .. } => "`wkg oci push REGISTRY/NAME:TAG plugin.wasm` lays a plugin out".to_owned(),
            Self::OtherDigest { .. } => "the artifact was damaged on its way, or is another than was pinned".to_owned(),
            Self::Network { .. } => "check the network and the name of the registry".to_owned(),
            _ => return None,
        })
    }
}
