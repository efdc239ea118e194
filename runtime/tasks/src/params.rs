//! Reads parameters, each by its type, and refuses what is left over.

use runtime_diagnostics::{Exit, Explain, nearest};
use serde_json::{Map, Value};

/// A parameter that is unknown, of the wrong type or out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// The parameter, whose place the caller may know.
    pub key: String,
    /// What is wrong, naming the parameter.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Explain for ParamError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Parameters that are being read: what has not been asked for at the end is unknown.
#[derive(Debug)]
pub struct Params<'a> {
    given: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Params<'a> {
    /// Those of `given`.
    pub fn new(given: &'a Map<String, Value>) -> Self {
        Self { given, asked: Vec::new() }
    }

    /// What has been asked for, each once.
    pub fn asked(&self) -> &[&'static str] {
        &self.asked
    }

    /// A parameter as it is given, `null` included.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.given.get(key)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ParamError> {
        match self.value(key).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| wrong(key, expected, value)),
        }
    }

    /// A whole number of at least `least`.
    ///
    /// # Errors
    /// Where it is no such number.
    pub fn count(&mut self, key: &'static str, least: usize) -> Result<Option<usize>, ParamError> {
        self.read(key, &format!("a whole number of at least {least}"), |value| {
            value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| *count >= least)
        })
    }

    /// Yes or no.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ParamError> {
        self.read(key, "`true` or `false`", Value::as_bool)
    }

    /// A text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, ParamError> {
        self.read(key, "a text", Value::as_str)
    }

    /// One of `choices`, by name.
    ///
    /// # Errors
    /// Where it is none of them.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, ParamError> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        // The pipelines take them in any case too.
        let found = choices.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, choice)| *choice);
        let names = || choices.iter().map(|(name, _)| *name);
        found.map(Some).ok_or_else(|| ParamError {
            key: key.to_owned(),
            message: format!("`{key}` cannot be `{name}`"),
            hint: Some(suggestion(name, names(), "it can be")),
        })
    }

    /// A list of texts, or one text.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ParamError> {
        self.read(key, "a text or a list of texts", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }

    /// A list of labels, or a text with commas between them.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn labels(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ParamError> {
        self.read(key, "a list of labels, or a text with commas between them", |value| match value {
            Value::String(text) => Some(split_labels(text)),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }

    /// Refuses what was given and not asked for.
    ///
    /// # Errors
    /// The first such parameter.
    pub fn finish(&self, task: &str) -> Result<(), ParamError> {
        let unknown = self.given.keys().find(|key| !self.asked.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| {
            let hint = match self.asked.is_empty() {
                true => "it has none".to_owned(),
                false => suggestion(key, self.asked.iter().copied(), "its parameters are"),
            };
            let message = format!("`{task}` has no parameter `{key}`");
            Err(ParamError { key: key.clone(), message, hint: Some(hint) })
        })
    }
}

/// The labels of a text with commas between them.
///
/// ```
/// assert_eq!(runtime_tasks::split_labels("sports, politics,, science ,"), ["sports", "politics", "science"]);
/// ```
pub fn split_labels(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// The nearest of `names`, else all of them.
fn suggestion<'a>(wrong: &str, names: impl Iterator<Item = &'a str> + Clone, otherwise: &str) -> String {
    match nearest(wrong, names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{otherwise} {}", names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

fn wrong(key: &str, expected: &str, value: &Value) -> ParamError {
    ParamError { key: key.to_owned(), message: format!("`{key}` must be {expected}, not `{value}`"), hint: None }
}
