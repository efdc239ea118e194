//! Ranges of a file that is opened once.
//!
//! Weights are read, not mapped: each tensor is converted once, and a mapped file that is rewritten while it loads would
//! end the process by a signal.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::folder::open_file;

/// An open file that holds weights.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    file: Mutex<File>,
}

impl DataFile {
    /// The file, from its start, and its length in bytes.
    pub(crate) fn open(path: &Path) -> Result<(File, u64), Error> {
        let file = open_file(path)?;
        let metadata = file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok((file, metadata.len()))
    }

    pub(crate) fn new(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file: Mutex::new(file) }
    }

    /// `length` bytes from `start` on.
    pub(crate) fn read(&self, start: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(length);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| {
            // Unlike `read_exact`, it fills memory that nobody has to clear before.
            file.by_ref().take(length as u64).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) if bytes.len() == length => Ok(bytes),
            Ok(_) => Err(Error::Read { path: self.path.clone(), source: ErrorKind::UnexpectedEof.into() }),
            Err(source) => Err(Error::Read { path: self.path.clone(), source }),
        }
    }
}
