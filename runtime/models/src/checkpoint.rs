//! The weights of a model, as safetensors or as a GGUF file.

use std::sync::Arc;

use runtime_graph::Catalog;
use runtime_tensor::{StoredTensor, StoredType, Weights};

use crate::gguf::Gguf;
use crate::safetensors::Safetensors;
use crate::{Error, ModelFolder};

/// The tensors of a model, in one file or several.
#[derive(Debug)]
pub struct Checkpoint(Kind);

#[derive(Debug)]
enum Kind {
    Safetensors(Safetensors),
    Gguf(Arc<Gguf>),
}

impl Checkpoint {
    pub(crate) fn open(folder: &ModelFolder) -> Result<Self, Error> {
        Ok(Self(match folder.gguf()? {
            Some(gguf) => Kind::Gguf(gguf),
            None => Kind::Safetensors(Safetensors::open(folder)?),
        }))
    }

    /// The names of the tensors that can be computed with.
    pub fn names(&self) -> Vec<&str> {
        match &self.0 {
            Kind::Safetensors(tensors) => tensors.names().collect(),
            Kind::Gguf(gguf) => gguf.names().collect(),
        }
    }

    /// The name of the tensor that the weight called `name` is in: another one for an expert's matrix in a stack.
    pub fn tensor_of(&self, name: &str) -> String {
        let stack = match &self.0 {
            Kind::Safetensors(tensors) => tensors.stack_of(name),
            Kind::Gguf(_) => None,
        };
        stack.unwrap_or_else(|| name.to_owned())
    }

    /// Its files of safetensors, where it is in that form.
    pub(crate) fn safetensors(&self) -> Option<&Safetensors> {
        match &self.0 {
            Kind::Safetensors(tensors) => Some(tensors),
            Kind::Gguf(_) => None,
        }
    }

    /// What an architecture gets to see: names, shapes and types.
    pub fn catalog(&self, base_prefix: &str) -> Catalog {
        match &self.0 {
            Kind::Safetensors(tensors) => tensors.catalog(base_prefix),
            Kind::Gguf(gguf) => gguf.catalog(base_prefix),
        }
    }
}

impl Weights for Checkpoint {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(match &self.0 {
            Kind::Safetensors(tensors) => tensors.read(name)?,
            Kind::Gguf(gguf) => gguf.read(name)?,
        })
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Box<dyn std::error::Error + Send + Sync>> {
        Ok(match &self.0 {
            Kind::Safetensors(tensors) => tensors.stored_type(name)?,
            Kind::Gguf(gguf) => gguf.stored_type(name)?,
        })
    }
}
