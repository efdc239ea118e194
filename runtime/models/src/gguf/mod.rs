//! Models in GGUF, the format of llama.cpp: one file, or numbered parts, with hyper-parameters, tokenizer, chat template
//! and weights.
//!
//! A file is presented as the folder that it was converted from: `config` writes the `config.json` that the
//! architectures read, `settings` the `tokenizer_config.json` and `generation_config.json`, `tokenizer` builds what
//! `tokenizer.json` would describe, and `tensors` finds weights under their Hugging Face names, with what the converter
//! did to them undone. Quantized weights stay in their blocks.
//!
//! Conventions are those of llama.cpp's `convert_hf_to_gguf.py`; `runtime-gguf` reads the format itself.

mod config;
mod error;
mod family;
mod fields;
mod parts;
mod pre_tokenizer;
mod settings;
mod tensors;
mod tokenizer;
mod vocabulary;

use std::path::{Path, PathBuf};

use runtime_gguf::Metadata;
use runtime_graph::Catalog;
use runtime_tensor::{StoredTensor, StoredType};
use serde_json::Value;

pub use error::GgufError;
pub(crate) use parts::{files, only_in};

use crate::Error;
use family::Family;
use fields::Fields;
use tensors::Tensors;

/// An open model.
#[derive(Debug)]
pub(crate) struct Gguf {
    /// The file, the first where there are several.
    path: PathBuf,
    metadata: Metadata,
    family: &'static Family,
    tensors: Tensors,
}

impl Gguf {
    /// The model in a file and the other parts beside it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (path, metadata, parts) = parts::open(path)?;
        let failed = |source| Error::Gguf { path: path.clone(), source };
        let family = family(&metadata).map_err(failed)?;
        let tensors = Tensors::new(family, &Fields::new(&metadata, family.name), parts).map_err(failed)?;
        Ok(Self { path, metadata, family, tensors })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn fields(&self) -> Fields<'_> {
        Fields::new(&self.metadata, self.family.name)
    }

    fn failed(&self, source: GgufError) -> Error {
        Error::Gguf { path: self.path.clone(), source }
    }

    /// What stands in the file `name` of a Hugging Face folder, where it is one of those that the model has.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, Error> {
        match name {
            "config.json" => self.config().map(Some),
            "tokenizer_config.json" => {
                settings::tokenizer(&self.fields()).map(Some).map_err(|error| self.failed(error))
            }
            "generation_config.json" => {
                settings::generation(&self.fields()).map(Some).map_err(|error| self.failed(error))
            }
            _ => Ok(None),
        }
    }

    /// `config.json`.
    pub(crate) fn config(&self) -> Result<Value, Error> {
        config::config(self.family, &self.fields(), &self.tensors)
    }

    /// What `tokenizer.json` would describe.
    pub(crate) fn tokenizer(&self) -> tokenizers::Result<tokenizers::Tokenizer> {
        tokenizer::tokenizer(self.family, &self.fields())
    }

    /// Why there is no such tokenizer: a key of the file, or what the library says.
    pub(crate) fn no_tokenizer(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        match source.downcast() {
            Ok(source) => self.failed(*source),
            Err(source) => Error::TokenizerFile { path: self.path.clone(), source },
        }
    }

    /// The Hugging Face names of the tensors that can be computed with.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names()
    }

    pub(crate) fn catalog(&self, base_prefix: &str) -> Catalog {
        self.tensors.catalog(base_prefix)
    }

    pub(crate) fn read(&self, name: &str) -> Result<StoredTensor<'static>, Error> {
        self.tensors.read(name)
    }

    pub(crate) fn stored_type(&self, name: &str) -> Result<StoredType, Error> {
        self.tensors.stored_type(name)
    }
}

fn family(metadata: &Metadata) -> Result<&'static Family, GgufError> {
    const KEY: &str = "general.architecture";
    let name = Fields::new(metadata, "").text(KEY)?;
    Family::named(name.ok_or_else(|| GgufError::Missing { key: KEY.to_owned() })?)
}
