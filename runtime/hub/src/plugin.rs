//! The names of plugins' files, and those of the hub.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::oci::SCHEME;
use crate::remote::Remote;
use crate::source::{expand_home, is_name};
use crate::{Error, Hub, ModelSource, OciReference, Repo, SourceError, cache};

/// Where the file of a plugin is, as a pipeline names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginSource {
    /// A path.
    File(PathBuf),
    /// A file of a repository of the hub: `org/name:FILE` or `org/name@revision:FILE`.
    Hub {
        /// The repository.
        repo: Repo,
        /// The file's path in it, of which no part leads out.
        file: String,
    },
    /// An artifact of a registry: `oci://REGISTRY/NAME:TAG` or `oci://REGISTRY/NAME@sha256:...`.
    Oci(OciReference),
}

impl PluginSource {
    /// Reads any form; opens nothing. What has no `:`, or begins like a path, is a path.
    ///
    /// ```
    /// use runtime_hub::PluginSource;
    /// assert!(matches!(PluginSource::parse("plugins/bert.wasm")?, PluginSource::File(_)));
    /// assert!(matches!(PluginSource::parse("acme/mamba:architecture.wasm")?, PluginSource::Hub { .. }));
    /// assert!(matches!(PluginSource::parse("oci://ghcr.io/acme/mamba:1.0")?, PluginSource::Oci(_)));
    /// # Ok::<(), runtime_hub::SourceError>(())
    /// ```
    ///
    /// # Errors
    /// Where a repository, a revision, a file's name or a reference cannot be one.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.starts_with(SCHEME) {
            return OciReference::parse(text).map(Self::Oci);
        }
        let Some((repo, file)) = text.split_once(':') else { return Ok(Self::File(PathBuf::from(text))) };
        // A drive, or a path with a colon in it.
        if !repo.contains('/') || repo.starts_with(['.', '/', '~']) {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let ModelSource::Hub(repo) = ModelSource::parse(repo)? else { return Ok(Self::File(PathBuf::from(text))) };
        match file.split('/').all(is_name) {
            true => Ok(Self::Hub { repo, file: file.to_owned() }),
            false => Err(SourceError::File { file: file.to_owned() }),
        }
    }

    /// The same source with a relative path joined to `base`, and `~` replaced by the home folder.
    #[must_use]
    pub fn resolved_from(self, base: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(base.join(expand_home(&path)).components().collect()),
            elsewhere @ (Self::Hub { .. } | Self::Oci(_)) => elsewhere,
        }
    }
}

impl fmt::Display for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Hub { repo, file } => write!(f, "{repo}:{file}"),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

impl Hub {
    /// The file of a plugin if it is here; never touches the network.
    ///
    /// # Errors
    /// Where it is not here, but for a path, which is not looked at.
    pub fn cached_plugin(&self, source: &PluginSource) -> Result<PathBuf, Error> {
        match source {
            PluginSource::File(path) => Ok(path.clone()),
            PluginSource::Hub { repo, file } => self.cached_file(repo, file),
            PluginSource::Oci(reference) => self.cached_oci(reference),
        }
    }

    /// As [`Hub::cached_plugin`], else downloads it.
    ///
    /// # Errors
    /// Whatever kept it from being downloaded.
    pub fn fetch_plugin(&self, source: &PluginSource, progress: bool) -> Result<PathBuf, Error> {
        match source {
            PluginSource::File(path) => Ok(path.clone()),
            PluginSource::Hub { repo, file } => self.fetch_file(repo, file, progress),
            PluginSource::Oci(reference) => self.fetch_oci(reference, progress),
        }
    }

    /// A file of a repository if it is in the cache; never touches the network.
    ///
    /// # Errors
    /// [`Error::Missing`] where it is absent; else where the cache cannot be read.
    pub fn cached_file(&self, repo: &Repo, file: &str) -> Result<PathBuf, Error> {
        let snapshot = cache::snapshot(&self.settings.cache, repo)?;
        let path = snapshot.map(|snapshot| snapshot.join(file)).filter(|path| path.is_file());
        path.ok_or_else(|| Error::Missing {
            repo: repo.clone(),
            file: file.to_owned(),
            cache: self.settings.cache.clone(),
            offline: self.settings.offline,
        })
    }

    /// As [`Hub::cached_file`], else downloads it.
    ///
    /// # Errors
    /// [`Error::Missing`] where the settings are offline; [`Error::Lacks`] where the repository has no such file; else
    /// whatever kept it from being downloaded.
    pub fn fetch_file(&self, repo: &Repo, file: &str, progress: bool) -> Result<PathBuf, Error> {
        match self.cached_file(repo, file) {
            Err(Error::Missing { offline: false, .. }) => {}
            found_or_not => return found_or_not,
        }
        // Of the commit that the cache knows: the model beside it stays complete.
        let known = cache::snapshot(&self.settings.cache, repo)?;
        let commit = known.as_deref().and_then(Path::file_name).and_then(|commit| commit.to_str());
        let pinned = commit.and_then(|commit| Repo::new(repo.id.clone(), commit).ok());
        let repo = pinned.as_ref().unwrap_or(repo);
        let remote = Remote::connect(&self.settings, repo, self.patience, progress)?;
        if !remote.files().any(|listed| listed == file) {
            return Err(Error::Lacks { repo: repo.clone(), file: file.to_owned() });
        }
        remote.download(file)?;
        Ok(remote.finish()?.join(file))
    }
}
