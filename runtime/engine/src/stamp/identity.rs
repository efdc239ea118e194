//! The number of a file, and when it or its name was last changed, which no program can set back.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}
