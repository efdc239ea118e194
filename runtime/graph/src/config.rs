//! A model's `config.json`, read with defaults and errors that name the field.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::{Activation, MAX_LAYERS};

/// A parsed `config.json`. A field that is `null` counts as absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(Map<String, Value>);

/// Why an architecture cannot serve a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is no JSON object.
    #[error("`config.json` is not a JSON object: {reason}")]
    NotAnObject {
        /// What the parser says.
        reason: String,
    },
    /// A field without a default is absent.
    #[error("`config.json` has no `{field}`")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field is of the wrong type or out of range.
    #[error("`{field}` in `config.json` is {found}, not {expected}")]
    Wrong {
        /// The field.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The configuration asks for something that the architecture does not do.
    #[error("`{field}` = `{value}` in `config.json` is not supported; it can be {supported}")]
    Unsupported {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// What is supported.
        supported: String,
    },
}

impl Refusal {
    /// A field that has a value which the architecture does not do; `supported` goes on "it can be".
    pub fn unsupported(field: &str, value: impl fmt::Display, supported: &str) -> Self {
        let (value, supported) = (value.to_string(), supported.to_owned());
        Self::Unsupported { field: field.to_owned(), value, supported }
    }
}

impl FromStr for Config {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => Err(Refusal::NotAnObject { reason: format!("it is {}", kind(&other)) }),
            Err(error) => Err(Refusal::NotAnObject { reason: error.to_string() }),
        }
    }
}

impl Config {
    /// A field's value, unless it is absent or `null`.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Whether a field is there, be it `null`.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// The same fields, and `field` with this value where it is absent: for a default that is not the usual one, or a
    /// field that goes by another name, before something else reads it, such as [`Rope::read`](crate::Rope::read).
    #[must_use]
    pub fn with_default(&self, field: &str, value: impl Into<Value>) -> Self {
        let mut fields = self.0.clone();
        if self.get(field).is_none() {
            fields.insert(field.to_owned(), value.into());
        }
        Self(fields)
    }

    /// A size: a positive whole number below 2^31.
    ///
    /// # Errors
    /// Where the field is absent or no such number.
    pub fn size(&self, field: &str) -> Result<u32, Refusal> {
        let value = self.get(field).ok_or_else(|| Refusal::Missing { field: field.to_owned() })?;
        let size = value.as_u64().and_then(|size| u32::try_from(size).ok()).filter(|size| (1..1 << 31).contains(size));
        size.ok_or_else(|| wrong(field, "a positive whole number below 2^31", value))
    }

    /// A size, or `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field is no size.
    pub fn size_or(&self, field: &str, default: u32) -> Result<u32, Refusal> {
        self.get(field).map_or(Ok(default), |_| self.size(field))
    }

    /// A number of layers, or `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field is no size, or above [`MAX_LAYERS`].
    pub fn layers_or(&self, field: &str, default: u32) -> Result<u32, Refusal> {
        let layers = self.size_or(field, default)?;
        let too_many = || wrong(field, &format!("at most {MAX_LAYERS} layers"), &Value::from(layers));
        if layers > MAX_LAYERS { Err(too_many()) } else { Ok(layers) }
    }

    /// A token's id, or `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field is no whole number below 2^31.
    pub fn token_or(&self, field: &str, default: u32) -> Result<u32, Refusal> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| *id < 1 << 31);
        id.ok_or_else(|| wrong(field, "a whole number below 2^31", value))
    }

    /// Whether a field is `true`, or `default` where it is absent.
    ///
    /// # Errors
    /// Where the field is no boolean.
    pub fn flag_or(&self, field: &str, default: bool) -> Result<bool, Refusal> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| wrong(field, "a boolean", value))
    }

    /// A number, or `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field is no number.
    pub fn number_or(&self, field: &str, default: f64) -> Result<f64, Refusal> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_f64().ok_or_else(|| wrong(field, "a number", value))
    }

    /// A text, or `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field is no text.
    pub fn text_or<'a>(&'a self, field: &str, default: &'a str) -> Result<&'a str, Refusal> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_str().ok_or_else(|| wrong(field, "a text", value))
    }

    /// An activation by its name in transformers, or that of `default` where the field is absent.
    ///
    /// # Errors
    /// Where the field names no known activation.
    pub fn activation_or(&self, field: &str, default: Activation) -> Result<Activation, Refusal> {
        if self.get(field).is_none() {
            return Ok(default);
        }
        let name = self.text_or(field, "")?;
        name.parse().map_err(|unknown: crate::op::UnknownActivation| Refusal::Unsupported {
            field: field.to_owned(),
            value: name.to_owned(),
            supported: unknown.to_string(),
        })
    }
}

fn wrong(field: &str, expected: &str, value: &Value) -> Refusal {
    let found = match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    };
    Refusal::Wrong { field: field.to_owned(), expected: expected.to_owned(), found }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
