//! Why a model cannot be had, and what to do about it.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runtime_diagnostics::{Exit, Explain};

use crate::{OciError, Repo};

/// What went wrong while finding or downloading a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No variable names the cache and no home folder is known.
    #[error("the cache of the hub has no place: no home folder is known")]
    NoCache,
    /// An environment variable that must be text is not.
    #[error("the environment variable `{name}` is not valid Unicode")]
    NotUnicode {
        /// The variable.
        name: &'static str,
    },
    /// A local source that cannot be opened.
    #[error("the model `{path}` cannot be opened")]
    NoFolder {
        /// The folder, with `~` expanded.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A local source that is a file.
    #[error("`{path}` is neither a folder nor a GGUF file")]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// The cache lacks a file, and the network may not be used.
    #[error("`{repo}` is not complete in the cache `{cache}`: `{file}` is missing")]
    Missing {
        /// The model.
        repo: Repo,
        /// The first file that is needed and absent.
        file: String,
        /// The cache folder that was looked in.
        cache: PathBuf,
        /// Whether the settings forbid the network.
        offline: bool,
    },
    /// The hub has no such repository or revision.
    #[error("the hub at `{endpoint}` has no model `{}` at revision `{}`", .repo.id, .repo.revision)]
    NotFound {
        /// The model.
        repo: Repo,
        /// The hub.
        endpoint: String,
    },
    /// The hub refused (HTTP status 401 or 403).
    #[error("the hub at `{endpoint}` refused access to `{repo}` (status {status})")]
    Refused {
        /// The model.
        repo: Repo,
        /// The hub.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// The repository lacks a file that every model needs.
    #[error("the repository `{repo}` has no `{file}`")]
    Lacks {
        /// The model.
        repo: Repo,
        /// The file.
        file: String,
    },
    /// The only weights are pickles.
    #[error("the weights of `{repo}` are pickled (`{file}`), and pickles are refused since they run code")]
    Pickle {
        /// The model.
        repo: Repo,
        /// The pickle.
        file: String,
    },
    /// The hub or a file of the model names a file by a path that leaves the model's folder.
    #[error("`{repo}` names a file `{name}`, which is refused: it is not a plain path inside the model's folder")]
    UnsafeName {
        /// The model.
        repo: Repo,
        /// The name.
        name: String,
    },
    /// The hub gave a file at another commit than the one it listed.
    #[error("the hub at `{endpoint}` gave `{file}` of `{repo}` at another commit than asked for")]
    OtherCommit {
        /// The model.
        repo: Repo,
        /// The hub.
        endpoint: String,
        /// The file.
        file: String,
    },
    /// The hub cannot be reached, or what it says is not understood.
    #[error("`{repo}` cannot be downloaded from the hub at `{endpoint}`")]
    Network {
        /// The model.
        repo: Repo,
        /// The hub.
        endpoint: String,
        /// What failed.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A download that stopped giving bytes.
    #[error("the hub at `{endpoint}` sent nothing of `{file}` for {} s", .patience.as_secs_f32())]
    Stalled {
        /// The hub.
        endpoint: String,
        /// The file.
        file: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Another process holds the lock of a file.
    #[error("another process is downloading the same file (it holds `{lock}`)")]
    Busy {
        /// The lock file.
        lock: PathBuf,
    },
    /// A plugin of a registry cannot be had.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cache cannot be written.
    #[error("the cache `{cache}` cannot be written")]
    Write {
        /// The cache.
        cache: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A JSON file of a model is not what it must be.
    #[error("`{path}` is not understood")]
    Json {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::NoCache | Self::NotUnicode { .. } => Exit::Config,
            Self::NoFolder { .. } | Self::NotAFolder { .. } => Exit::NoInput,
            Self::Missing { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Lacks { .. }
            | Self::Pickle { .. }
            | Self::UnsafeName { .. }
            | Self::OtherCommit { .. }
            | Self::Network { .. }
            | Self::Stalled { .. }
            | Self::Busy { .. } => Exit::Unavailable,
            Self::Read { .. } | Self::Write { .. } => Exit::Io,
            Self::Json { .. } => Exit::Config,
            Self::Oci(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Oci(error) => return error.hint(),
            Self::NoCache => "set `HF_HOME` or `HF_HUB_CACHE` to a folder".to_owned(),
            Self::NoFolder { .. } | Self::NotAFolder { .. } => {
                "a model folder holds `config.json`, `tokenizer.json` and `model.safetensors`".to_owned()
            }
            Self::Missing { repo, offline, .. } => {
                let unset = if *offline { "; unset HF_HUB_OFFLINE" } else { "" };
                format!("`runtime model fetch {repo}` downloads it where there is a network{unset}")
            }
            Self::NotFound { repo, endpoint } => format!("see `{endpoint}/{}` for what there is", repo.id),
            // The hub answers 401 for a repository that does not exist, so as not to tell which ones do.
            Self::Refused { token: false, .. } => {
                "check the name; for a private or gated model set HF_TOKEN to a token that may read it".to_owned()
            }
            Self::Refused { repo, endpoint, .. } => {
                format!("HF_TOKEN may not read it; a gated model's terms are accepted at `{endpoint}/{}`", repo.id)
            }
            Self::Lacks { .. } => {
                "a model needs `config.json`, `tokenizer.json` and `model.safetensors` or its shards".to_owned()
            }
            Self::Pickle { .. } => "name a repository or a revision that has `model.safetensors`".to_owned(),
            Self::Network { .. } => {
                "check the network and HF_ENDPOINT; what was downloaded so far is kept and continued".to_owned()
            }
            Self::Stalled { .. } => "try again: what was downloaded so far is kept and continued".to_owned(),
            Self::Busy { .. } => "try again when it is done".to_owned(),
            Self::Write { .. } => "set `HF_HUB_CACHE` to a folder that can be written, with space enough".to_owned(),
            Self::Json { .. } => "remove the file so that it is downloaded again".to_owned(),
            Self::NotUnicode { .. } | Self::UnsafeName { .. } | Self::OtherCommit { .. } | Self::Read { .. } => {
                return None;
            }
        })
    }
}
