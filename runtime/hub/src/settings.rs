//! Where the cache is, which hub is asked, and as whom: the environment that `huggingface_hub` documents.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use crate::Error;

/// The hub that is asked where `HF_ENDPOINT` names no other.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// What a [`Hub`](crate::Hub) needs to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder that holds `models--org--name` folders.
    pub cache: PathBuf,
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// Who asks, for private and gated models.
    pub token: Option<String>,
    /// Never touch the network.
    pub offline: bool,
    /// The file in which docker keeps credentials of registries, if there can be one.
    pub docker_config: Option<PathBuf>,
}

impl Settings {
    /// What the process's environment says.
    ///
    /// | setting | in order of precedence |
    /// | --- | --- |
    /// | `cache` | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HOME/hub` |
    /// | `endpoint` | `HF_ENDPOINT`, the public hub |
    /// | `token` | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH`, the file `HOME/token` |
    /// | `docker_config` | `DOCKER_CONFIG/config.json`, `~/.docker/config.json` |
    /// | `offline` | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`: `1`, `on`, `yes` or `true` in any case |
    ///
    /// where `HOME` is `HF_HOME`, else `XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface`. An empty variable
    /// counts as absent, and `~/` at the start of a path is the home folder.
    ///
    /// # Errors
    /// Where no cache folder can be derived, a variable is not Unicode, or a token file exists but cannot be read.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_lookup(env::var_os, dirs::home_dir())
    }

    /// As [`Settings::from_env`], with the environment given as a function and the user's home folder.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_lookup(
        lookup: impl Fn(&'static str) -> Option<OsString>,
        user_home: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let environment = Environment { lookup, user_home };
        let home = environment
            .path("HF_HOME")
            .or_else(|| Some(environment.path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(environment.user_home.as_ref()?.join(".cache/huggingface")));
        let cache = environment
            .path("HF_HUB_CACHE")
            .or_else(|| environment.path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(home.as_ref()?.join("hub")))
            .ok_or(Error::NoCache)?;
        let endpoint = environment.text("HF_ENDPOINT")?.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let token_file = environment.path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token")));
        let token = match environment.first_text(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])? {
            Some(token) => Some(token),
            None => token_file.map_or(Ok(None), |path| read_token(&path))?,
        };
        let offline = environment.first_text(["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])?;
        Ok(Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            offline: offline.is_some_and(|value| is_true(&value)),
            docker_config: environment
                .path("DOCKER_CONFIG")
                .or_else(|| Some(environment.user_home.as_ref()?.join(".docker")))
                .map(|folder| folder.join("config.json")),
        })
    }
}

/// Shows whether there is a token, never the token.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("offline", &self.offline)
            .field("docker_config", &self.docker_config)
            .finish()
    }
}

struct Environment<F> {
    lookup: F,
    user_home: Option<PathBuf>,
}

impl<F: Fn(&'static str) -> Option<OsString>> Environment<F> {
    fn path(&self, name: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from((self.lookup)(name).filter(|value| !value.is_empty())?);
        match (path.strip_prefix("~"), &self.user_home) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(path),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(value) = (self.lookup)(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_not_unicode| Error::NotUnicode { name })?;
        Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
    }

    fn first_text(&self, names: [&'static str; 2]) -> Result<Option<String>, Error> {
        let [first, second] = names;
        self.text(first)?.map_or_else(|| self.text(second), |value| Ok(Some(value)))
    }
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn read_token(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}
