//! The keys of a file, each as what it should be.

use runtime_gguf::{List, Metadata, Value};

use super::GgufError;

/// The keys of a file.
pub(super) struct Fields<'a> {
    metadata: &'a Metadata,
    /// What keys of an architecture begin with, such as `llama`.
    architecture: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(metadata: &'a Metadata, architecture: &'a str) -> Self {
        Self { metadata, architecture }
    }

    /// The name of a key of the architecture.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.metadata.get(key)
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let wrong = || GgufError::Wrong { key: key.to_owned(), expected: expected.to_owned(), found: value.kind() };
        read(value).map(Some).ok_or_else(wrong)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        self.read(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.read(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&'a [String]>, GgufError> {
        self.read(key, "a list of texts", |value| match value {
            Value::List(List::Texts(texts)) => Some(texts.as_slice()),
            _ => None,
        })
    }

    pub(super) fn floats(&self, key: &str) -> Result<Option<&'a [f64]>, GgufError> {
        self.read(key, "a list of numbers", |value| match value {
            Value::List(List::Floats(numbers)) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<&'a [i64]>, GgufError> {
        self.read(key, "a list of whole numbers", |value| match value {
            Value::List(List::Integers(numbers)) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    /// A whole number, not negative.
    pub(super) fn size_at(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.read(key, "a whole number, not negative", |value| match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        })
    }

    /// The same for a key of the architecture. Where layers have each their own, they must all be the same.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>, GgufError> {
        let key = self.key(name);
        self.read(&key, "a whole number, not negative, and the same for all layers", |value| match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::List(List::Integers(numbers)) => {
                let first = numbers.first().filter(|first| numbers.iter().all(|number| number == *first))?;
                u64::try_from(*first).ok()
            }
            _ => None,
        })
    }

    pub(super) fn required(&self, name: &str) -> Result<u64, GgufError> {
        self.size(name)?.ok_or_else(|| GgufError::Missing { key: self.key(name) })
    }

    /// A number. A single stands for the decimal that is written most shortly for it, as in `config.json`: the nearest
    /// double to 1e-5, not the nearest single.
    pub(super) fn number_at(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.read(key, "a finite number", |value| {
            let number = match value {
                Value::F32(number) => number.to_string().parse().ok(),
                Value::F64(number) => Some(*number),
                Value::Integer(number) => number.to_string().parse().ok(),
                _ => None,
            };
            number.filter(|number: &f64| number.is_finite())
        })
    }

    /// The same for a key of the architecture.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, GgufError> {
        self.number_at(&self.key(name))
    }

    /// A token of the vocabulary.
    pub(super) fn token(&self, name: &str) -> Result<Option<u32>, GgufError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        self.read(&key, "the id of a token", |value| match value {
            // Some converters write -1, or its counterpart of 32 bits, where there is none.
            Value::Integer(-1) => Some(None),
            Value::Integer(number) => u32::try_from(*number).ok().map(|id| Some(id).filter(|id| *id != u32::MAX)),
            _ => None,
        })
        .map(Option::flatten)
    }
}
