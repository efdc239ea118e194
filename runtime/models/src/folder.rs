//! The files of a model.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::gguf::{self, Gguf};
use crate::safetensors::Safetensors;
use crate::{Checkpoint, Error, ModelConfig, Tokenizer};

/// The sandboxed architecture that a folder may bring along.
pub const PLUGIN_FILE: &str = "architecture.wasm";

/// A model on disk: a folder as published on a hub, or a GGUF file. A folder without safetensors, and with one model in
/// GGUF, is that model.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    /// The GGUF that it is, once that was asked for: reading its vocabulary takes a while.
    gguf: Arc<OnceLock<Option<Arc<Gguf>>>>,
}

impl PartialEq for ModelFolder {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for ModelFolder {}

impl Hash for ModelFolder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl ModelFolder {
    /// The folder or the GGUF file at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), gguf: Arc::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file `name` in it, whether or not it is there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The GGUF file that the model is, the first where it has several parts; `None` for a model of other files.
    ///
    /// # Errors
    /// Where the folder has several, and nothing says which.
    pub fn gguf_file(&self) -> Result<Option<PathBuf>, Error> {
        if Safetensors::are_in(&self.path) { Ok(None) } else { gguf::only_in(&self.path) }
    }

    /// The model in GGUF, opened once.
    pub(crate) fn gguf(&self) -> Result<Option<Arc<Gguf>>, Error> {
        if let Some(known) = self.gguf.get() {
            return Ok(known.clone());
        }
        let opened = self.gguf_file()?.map(|path| Gguf::open(&path)).transpose()?.map(Arc::new);
        Ok(self.gguf.get_or_init(|| opened).clone())
    }

    /// The architecture that it brings along, if any.
    pub fn plugin(&self) -> Option<PathBuf> {
        Some(self.file(PLUGIN_FILE)).filter(|path| path.is_file())
    }

    /// Every file that the model is made of and that is there: what to watch, and what identifies it.
    pub fn files(&self) -> Vec<PathBuf> {
        let named = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", PLUGIN_FILE];
        let mut files: Vec<PathBuf> = named.iter().map(|name| self.file(name)).filter(|path| path.is_file()).collect();
        match self.gguf_file() {
            Ok(Some(gguf)) => files.extend(gguf::files(&gguf)),
            _ => files.extend(Safetensors::files(self).unwrap_or_default()),
        }
        files
    }

    /// `config.json`.
    ///
    /// # Errors
    /// Where it is missing or no configuration.
    pub fn config(&self) -> Result<ModelConfig, Error> {
        match self.gguf()? {
            Some(gguf) => ModelConfig::of_text(gguf.config()?.to_string(), gguf.path()),
            None => ModelConfig::read(&self.file("config.json")),
        }
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

    /// A JSON file, or `None` where there is no such file. Of a model in GGUF, `config.json`, `tokenizer_config.json` and
    /// `generation_config.json` are what the file says.
    ///
    /// # Errors
    /// Where it cannot be read, or is no JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, Error> {
        if let Some(gguf) = self.gguf()?
            && let Some(json) = gguf.json(name)?
        {
            return Ok(Some(json));
        }
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
