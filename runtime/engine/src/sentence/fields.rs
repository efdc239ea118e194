//! The fields of one JSON file, with errors that name file and field. A field that is `null` counts as absent.

use std::path::PathBuf;

use runtime_models::ModelFolder;
use serde_json::{Map, Value};

use super::SentenceError;
use crate::{Error, type_name};

pub(super) struct JsonFile {
    pub(super) path: PathBuf,
    fields: Map<String, Value>,
}

impl JsonFile {
    /// A file of a folder; without fields where it is not there.
    pub(super) fn read(folder: &ModelFolder, name: &str) -> Result<Self, Error> {
        let path = folder.file(name);
        match folder.json(name)? {
            None => Ok(Self { path, fields: Map::new() }),
            Some(Value::Object(fields)) => Ok(Self { path, fields }),
            Some(other) => Err(wrong(path, "the file", type_name(&other), "an object").into()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn boolean(&self, field: &str) -> Result<Option<bool>, SentenceError> {
        self.of_type(field, "true or false", Value::as_bool)
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&str>, SentenceError> {
        self.of_type(field, "a text", Value::as_str)
    }

    /// A number of at least 1.
    pub(super) fn size(&self, field: &str) -> Result<Option<usize>, SentenceError> {
        let size = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        self.of_type(field, "a positive whole number", size)
    }

    pub(super) fn required_size(&self, field: &str) -> Result<usize, SentenceError> {
        let absent = || wrong(self.path.clone(), field, "absent", "a positive whole number");
        self.size(field)?.ok_or_else(absent)
    }

    /// Refuses a module that is not applied to the text's vector.
    pub(super) fn check_names(&self) -> Result<(), SentenceError> {
        let other = ["module_input_name", "module_output_name"].into_iter().find_map(|name| {
            let value = self.get(name).filter(|value| *value != "sentence_embedding")?;
            Some(self.wrong(name, value, "`sentence_embedding`"))
        });
        other.map_or(Ok(()), Err)
    }

    fn of_type<'a, T>(
        &'a self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SentenceError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(field, value, expected))
    }

    pub(super) fn wrong(&self, field: &str, found: &Value, expected: &str) -> SentenceError {
        let found = match found {
            Value::Array(_) | Value::Object(_) => type_name(found).to_owned(),
            other => format!("`{other}`"),
        };
        wrong(self.path.clone(), field, &found, expected)
    }
}

fn wrong(path: PathBuf, field: &str, found: &str, expected: &str) -> SentenceError {
    SentenceError::Field { path, field: field.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
}
