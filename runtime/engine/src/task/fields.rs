//! The named fields of an input.

use serde_json::{Map, Value};

use crate::{Error, type_name};

/// An input's fields, read by their types.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Those of an object.
    pub fn new(fields: &'a Map<String, Value>) -> Self {
        Self(fields)
    }

    /// A field as it is, unless it is absent or `null`.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// Where it is absent, empty or no text.
    pub fn text(&self, field: &'static str) -> Result<&'a str, Error> {
        self.optional_text(field)?.ok_or_else(|| Error::NoField { field, has: self.0.keys().cloned().collect() })
    }

    /// A text that is not empty, if there is one.
    ///
    /// # Errors
    /// Where it is empty or no text.
    pub fn optional_text(&self, field: &'static str) -> Result<Option<&'a str>, Error> {
        self.get(field).map(|value| as_text(field, value)).transpose()
    }

    /// The messages of a conversation, if there is one instead of a `text`.
    ///
    /// # Errors
    /// Where there are both, or it is no list.
    pub fn messages(&self) -> Result<Option<&'a [Value]>, Error> {
        let Some(messages) = self.get("messages") else { return Ok(None) };
        if self.get("text").is_some() {
            return Err(Error::TextAndMessages);
        }
        let messages = messages.as_array().ok_or_else(|| Error::NoMessages { found: type_name(messages) })?;
        Ok(Some(messages))
    }

    /// Texts, which may be empty: a list of them, or one.
    ///
    /// # Errors
    /// Where the field is absent or holds what is no text.
    pub fn any_texts(&self, field: &'static str) -> Result<Vec<&'a str>, Error> {
        let value = self.get(field).ok_or_else(|| Error::NoField { field, has: self.0.keys().cloned().collect() })?;
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let text = |item: &'a Value| item.as_str().ok_or(Error::NoText { field, found: type_name(item) });
        items.iter().map(text).collect()
    }

    /// Texts that are not empty: a list of them, or one.
    ///
    /// # Errors
    /// Where the field is absent, an empty list, or holds what is empty or no text.
    pub fn texts(&self, field: &'static str) -> Result<Vec<&'a str>, Error> {
        let value = self.get(field).ok_or_else(|| Error::NoField { field, has: self.0.keys().cloned().collect() })?;
        let texts: Vec<&str> = match value {
            Value::Array(items) => items.iter().map(|item| as_text(field, item)).collect::<Result<_, _>>()?,
            one => vec![as_text(field, one)?],
        };
        if texts.is_empty() { Err(Error::EmptyField { field }) } else { Ok(texts) }
    }
}

fn as_text<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, Error> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err(Error::EmptyField { field }),
        Value::String(text) => Ok(text),
        other => Err(Error::NoText { field, found: type_name(other) }),
    }
}
