//! One loaded model with the adapters that requests choose from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, LanguageModel};

/// A language model, and the same with each of several adapters; the weights are shared by all.
#[derive(Clone)]
pub struct Adapters {
    plain: LanguageModel,
    by_name: BTreeMap<String, LanguageModel>,
}

impl Adapters {
    /// A model without any.
    pub fn none(model: LanguageModel) -> Self {
        Self { plain: model, by_name: BTreeMap::new() }
    }

    /// Adds the adapter in the folder `path`.
    ///
    /// # Errors
    /// As [`LanguageModel::with_adapter`].
    pub fn add(&mut self, name: impl Into<String>, path: &Path) -> Result<(), Error> {
        self.by_name.insert(name.into(), self.plain.with_adapter(path)?);
        Ok(())
    }

    /// The model without an adapter.
    pub fn plain(&self) -> &LanguageModel {
        &self.plain
    }

    /// The model with an adapter; without one where the name is empty.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn get(&self, name: &str) -> Result<&LanguageModel, Error> {
        let name = name.trim();
        if name.is_empty() {
            return Ok(&self.plain);
        }
        let unknown =
            || Error::UnknownAdapter { name: name.to_owned(), known: self.names().map(str::to_owned).collect() };
        self.by_name.get(name).ok_or_else(unknown)
    }

    /// The names of the adapters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
