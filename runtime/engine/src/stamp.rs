//! What tells a file from the one that was there before.

#[cfg(unix)]
mod identity;
#[cfg(not(unix))]
#[path = "stamp/identity_disabled.rs"]
mod identity;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use identity::Identity;

/// The path behind a file's links, its length, its time, and what the file system knows beside: weights of one
/// architecture are of equal length, and archives set equal times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

impl Stamp {
    /// How the file is now; `None` where there is none.
    pub fn of(file: &Path) -> Option<Self> {
        let path = fs::canonicalize(file).ok()?;
        let metadata = fs::metadata(&path).ok()?;
        let identity = Identity::of(&metadata);
        Some(Self { path, length: metadata.len(), modified: metadata.modified().ok(), identity })
    }
}
