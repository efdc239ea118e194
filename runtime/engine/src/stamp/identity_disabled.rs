//! Where the file system tells no more than length and time.

use std::fs::Metadata;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity;

impl Identity {
    pub(super) fn of(_metadata: &Metadata) -> Self {
        Self
    }
}
