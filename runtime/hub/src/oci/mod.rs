//! Plugins in OCI registries, through a cache by digest.
//!
//! `oci/blobs/sha256/DIGITS` below the hub's cache holds manifests and components, and `oci/refs/REGISTRY/NAME/TAG` which
//! manifest a tag stood for when it was asked for. What is taken from there is checked as what arrives is.
//!
//! Left out: pushing, signatures, indexes of several platforms, and helpers that keep docker's credentials.

mod error;
mod manifest;
mod reference;
mod registry;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use error::OciError;
pub(crate) use reference::SCHEME;
pub use reference::{Digest, OciReference};

use crate::{Error, Hub};
use manifest::Layer;
use registry::Registry;

/// Bytes of a component, at most: those that the sandbox takes by default.
const LARGEST: u64 = 32 << 20;

impl Hub {
    /// The component of an artifact if it is in the cache; never touches the network. A tag is what it was when it was
    /// last asked for.
    ///
    /// # Errors
    /// [`OciError::Missing`] where it is not there; else where the cache cannot be read, or the artifact is no plugin.
    pub fn cached_oci(&self, reference: &OciReference) -> Result<PathBuf, Error> {
        let cached = match self.oci_digest(reference)? {
            Some(digest) => self.component(reference, &digest)?,
            None => None,
        };
        let missing = || OciError::Missing { reference: reference.clone(), cache: self.settings.cache.clone() };
        cached.ok_or_else(|| missing().into())
    }

    /// As [`Hub::cached_oci`], else downloads it.
    ///
    /// # Errors
    /// [`OciError::Missing`] where the settings are offline; else whatever kept it from being downloaded.
    pub fn fetch_oci(&self, reference: &OciReference, progress: bool) -> Result<PathBuf, Error> {
        match self.cached_oci(reference) {
            Err(Error::Oci(OciError::Missing { .. })) if !self.settings.offline => self.pull(reference, progress),
            found_or_not => found_or_not,
        }
    }

    /// The same, but a tag is asked for anew, unless the settings are offline.
    ///
    /// # Errors
    /// As [`Hub::fetch_oci`].
    pub fn refresh_oci(&self, reference: &OciReference, progress: bool) -> Result<PathBuf, Error> {
        match reference.digest.is_some() || self.settings.offline {
            true => self.fetch_oci(reference, progress),
            false => self.pull(reference, progress),
        }
    }

    /// The digest of the manifest that a reference stands for, where the cache knows it.
    ///
    /// # Errors
    /// Where the cache cannot be read.
    pub fn oci_digest(&self, reference: &OciReference) -> Result<Option<Digest>, Error> {
        let (None, Some(path)) = (&reference.digest, self.tag(reference)) else { return Ok(reference.digest.clone()) };
        Ok(read(&path)?.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok()))
    }

    fn pull(&self, reference: &OciReference, progress: bool) -> Result<PathBuf, Error> {
        let mut registry = Registry::new(reference, self.settings.docker_config.as_deref(), self.patience)?;
        let bytes = registry.manifest()?;
        let digest = Digest::of(&bytes);
        let checked = |what, expected: &Digest, found: Digest| match found == *expected {
            true => Ok(()),
            false => {
                Err(OciError::OtherDigest { reference: reference.clone(), what, expected: expected.clone(), found })
            }
        };
        checked("manifest", reference.digest.as_ref().unwrap_or(&digest), digest.clone())?;
        let layer = manifest::layer(reference, &bytes)?;
        if layer.size > LARGEST {
            return Err(OciError::TooLarge { reference: reference.clone(), what: "component", limit: LARGEST }.into());
        }
        if self.intact(&layer)?.is_none() {
            let component = registry.blob(&layer, progress)?;
            checked("component", &layer.digest, Digest::of(&component))?;
            self.write(&self.blob(&layer.digest), &component)?;
        }
        self.write(&self.blob(&digest), &bytes)?;
        // Last, so that a tag stands for nothing that is not there.
        if let (None, Some(path)) = (&reference.digest, self.tag(reference)) {
            self.write(&path, digest.to_string().as_bytes())?;
        }
        Ok(self.blob(&layer.digest))
    }

    /// The component of a manifest, where both are in the cache.
    fn component(&self, reference: &OciReference, digest: &Digest) -> Result<Option<PathBuf>, Error> {
        let manifest = read(&self.blob(digest))?.filter(|bytes| Digest::of(bytes) == *digest);
        manifest.map_or(Ok(None), |bytes| self.intact(&manifest::layer(reference, &bytes)?))
    }

    /// A component that is in the cache as it was downloaded.
    fn intact(&self, layer: &Layer) -> Result<Option<PathBuf>, Error> {
        let path = self.blob(&layer.digest);
        Ok(read(&path)?.filter(|bytes| Digest::of(bytes) == layer.digest).map(|_| path))
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.settings.cache.join("oci/blobs/sha256").join(digest.digits())
    }

    fn tag(&self, reference: &OciReference) -> Option<PathBuf> {
        // A colon cannot be in the name of a file everywhere, and a plus not in that of a host.
        let registry = reference.registry.replace(':', "+");
        let repository = self.settings.cache.join("oci/refs").join(registry).join(&reference.repository);
        // Nor can it be in the name of a repository: a tag is no part of another one's name.
        reference.tag.as_ref().map(|tag| repository.join(format!("+{tag}")))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let folder = path.parent().unwrap_or(&self.settings.cache);
        // Whole or not at all, whoever else does the same.
        let written = fs::create_dir_all(folder).and_then(|()| NamedTempFile::new_in(folder)).and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(path).map_err(|error| error.error)
        });
        written.map(drop).map_err(|source| Error::Write { cache: self.settings.cache.clone(), source })
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}
