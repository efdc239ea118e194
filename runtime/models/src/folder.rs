//! The files of a model.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Checkpoint, Error, ModelConfig, Tokenizer};

/// The sandboxed architecture that a folder may bring along.
pub const PLUGIN_FILE: &str = "architecture.wasm";

/// A model's folder on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelFolder(PathBuf);

impl ModelFolder {
    /// The folder at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file `name` in it, whether or not it is there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The architecture that it brings along, if any.
    pub fn plugin(&self) -> Option<PathBuf> {
        Some(self.file(PLUGIN_FILE)).filter(|path| path.is_file())
    }

    /// Every file that the model is made of and that is there: what to watch, and what identifies it.
    pub fn files(&self) -> Vec<PathBuf> {
        let named = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", PLUGIN_FILE];
        let mut files: Vec<PathBuf> = named.iter().map(|name| self.file(name)).filter(|path| path.is_file()).collect();
        files.extend(Checkpoint::files(self).unwrap_or_default());
        files
    }

    /// `config.json`.
    ///
    /// # Errors
    /// Where it is missing or no configuration.
    pub fn config(&self) -> Result<ModelConfig, Error> {
        ModelConfig::read(self.file("config.json"))
    }

    /// The weights.
    ///
    /// # Errors
    /// Where there are none, they are a pickle, or a file is damaged.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::open(self)
    }

    /// `tokenizer.json`, with the limits of `tokenizer_config.json`.
    ///
    /// # Errors
    /// Where a file is missing or cannot be understood.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        Tokenizer::open(self)
    }

    /// A JSON file, or `None` where there is no such file.
    ///
    /// # Errors
    /// Where it cannot be read, or is no JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, Error> {
        let path = self.file(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = read(&path)?;
        serde_json::from_str(&text).map(Some).map_err(|source| Error::Json { path, source })
    }
}

/// Bytes of a configuration or an index, at most; the largest known index has 0.3 MB.
const LARGEST_JSON: u64 = 16 << 20;

pub(crate) fn read(path: &Path) -> Result<String, Error> {
    read_text(path, LARGEST_JSON)
}

/// The text of a whole file of at most `limit` bytes.
///
/// # Errors
/// Where it cannot be read, is longer, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, Error> {
    let text = String::from_utf8(read_bytes(path, limit)?);
    let not_text =
        |error| Error::Read { path: path.to_owned(), source: io::Error::new(io::ErrorKind::InvalidData, error) };
    text.map_err(not_text)
}

/// Opens a file, which must be one: opening a pipe could wait for ever, and a device be read for ever.
pub(crate) fn open_file(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
    }
    File::open(path).map_err(failed)
}

/// A whole file of at most `limit` bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = open_file(path)?.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
