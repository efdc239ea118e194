//! A model's folder: from the disk where it is complete, else from the hub.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::remote::Remote;
use crate::source::{expand_home, is_gguf};
use crate::{Error, ModelSource, Repo, Settings, cache, plan};

/// How long a silent connection is waited for unless [`Hub::with_patience`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// The hub and its cache.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) settings: Settings,
    pub(crate) patience: Duration,
}

impl Hub {
    /// A hub with its cache; opens nothing.
    pub fn new(settings: Settings) -> Self {
        Self { settings, patience: PATIENCE }
    }

    /// The same hub, given up on when it sends nothing for `patience` (30 s by default). A download may take as long
    /// as it likes while bytes arrive; the list of a repository's files must arrive whole within it.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The folder of the model's files if all that is needed is there already; never touches the network.
    ///
    /// # Errors
    /// [`Error::Missing`] with the first absent file; else where the cache cannot be read.
    pub fn cached(&self, repo: &Repo) -> Result<PathBuf, Error> {
        let missing = |file: String| Error::Missing {
            repo: repo.clone(),
            file,
            cache: self.settings.cache.clone(),
            offline: self.settings.offline,
        };
        let snapshot = cache::snapshot(&self.settings.cache, repo)?.ok_or_else(|| missing(cache::CONFIG.to_owned()))?;
        match cache::lacking(repo, &snapshot)? {
            Some(file) => Err(missing(file)),
            None => Ok(snapshot),
        }
    }

    /// As [`Hub::cached`], else downloads what is absent. With `progress` a bar per file is drawn on stderr where
    /// that is a terminal.
    ///
    /// All files are of one commit, and a branch stands for it only once every file is there: an interrupted
    /// download leaves a branch as it was, and the next one continues it.
    ///
    /// # Errors
    /// [`Error::Missing`] where the settings are offline; else whatever kept the model from being downloaded.
    pub fn fetch(&self, repo: &Repo, progress: bool) -> Result<PathBuf, Error> {
        match self.cached(repo) {
            Err(Error::Missing { offline: false, .. }) => self.download(repo, progress),
            found_or_not => found_or_not,
        }
    }

    /// The folder of a source: a folder or a GGUF file itself, a repository's by [`Hub::fetch`].
    ///
    /// # Errors
    /// [`Error::NoFolder`] or [`Error::NotAFolder`]; else as [`Hub::fetch`].
    pub fn resolve(&self, source: &ModelSource, progress: bool) -> Result<PathBuf, Error> {
        let path = match source {
            ModelSource::Folder(path) => expand_home(path),
            ModelSource::Hub(repo) => return self.fetch(repo, progress),
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() || is_gguf(&path) => Ok(path),
            Ok(_) => Err(Error::NotAFolder { path }),
            Err(source) => Err(Error::NoFolder { path, source }),
        }
    }

    fn download(&self, repo: &Repo, progress: bool) -> Result<PathBuf, Error> {
        let remote = Remote::connect(&self.settings, repo, self.patience, progress)?;
        let listed: BTreeSet<&str> = remote.files().collect();
        for file in plan::first(repo, &listed)? {
            remote.download(file)?;
        }
        for file in plan::second(repo, &listed, remote.snapshot())? {
            remote.download(&file)?;
        }
        remote.finish()
    }
}
