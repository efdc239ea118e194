//! A model's chat template.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;

use minijinja::{Environment, ErrorKind};
use serde_json::{Map, Value};

use crate::budget;
use crate::chat::{self, Chat};
use crate::environment::{self, NAME, Raised};
use crate::rewrite::rewrite;
use crate::{Error, resume};

/// Bytes of a rendered text, at most.
const LONGEST: usize = 64 << 20;

/// The chat template of a model, or several for different uses, with its special tokens.
#[derive(Debug)]
pub struct ChatTemplate {
    sources: Vec<Source>,
    special_tokens: Map<String, Value>,
}

/// One template.
#[derive(Debug)]
pub(crate) struct Source {
    /// `default`, or what it is for.
    pub(crate) name: String,
    /// Where it is from, for messages.
    pub(crate) place: String,
    pub(crate) text: String,
    /// Parsed when it is first used: one that nobody uses may be wrong.
    pub(crate) parsed: OnceLock<Environment<'static>>,
}

impl Source {
    pub(crate) fn new(name: &str, place: String, text: String) -> Self {
        Self { name: name.to_owned(), place, text, parsed: OnceLock::new() }
    }

    fn environment(&self) -> Result<&Environment<'static>, Error> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed);
        }
        let unread = |(line, reason): (usize, &str)| Error::Template {
            place: self.place.clone(),
            line,
            reason: format!("syntax error: {reason}"),
        };
        let source = rewrite(&self.text).map_err(unread)?;
        let environment = environment::environment(source).map_err(|error| self.failed(&error))?;
        Ok(self.parsed.get_or_init(|| environment))
    }

    fn failed(&self, error: &minijinja::Error) -> Error {
        let place = self.place.clone();
        // The innermost line: that of what failed, not of the macro call that led there.
        let mut line = error.line().unwrap_or_default();
        let mut reason = told(error);
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(Raised(message)) = source.downcast_ref::<Raised>() {
                return Error::Refused { place, line, message: message.clone() };
            }
            if let Some(inner) = source.downcast_ref::<minijinja::Error>() {
                line = inner.line().unwrap_or(line);
                reason = told(inner);
            }
            cause = source.source();
        }
        Error::Template { place, line, reason }
    }
}

/// What minijinja says, without the place.
fn told(error: &minijinja::Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, None) => "the template takes too many steps".to_owned(),
        (ErrorKind::OutOfFuel, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

impl ChatTemplate {
    /// A template from elsewhere than a folder. `place` names it in messages; `special_tokens` are `bos_token` and so on.
    pub fn new(place: &str, source: &str, special_tokens: Map<String, Value>) -> Self {
        Self::of(vec![Source::new("default", place.to_owned(), source.to_owned())], special_tokens)
    }

    pub(crate) fn of(sources: Vec<Source>, special_tokens: Map<String, Value>) -> Self {
        Self { sources, special_tokens }
    }

    /// The special tokens by the names that templates know, such as `bos_token`.
    pub fn special_tokens(&self) -> &Map<String, Value> {
        &self.special_tokens
    }

    /// The text of a conversation, as `apply_chat_template` of transformers renders it. Special tokens are part of it, so
    /// it is to be tokenized without adding any.
    ///
    /// # Errors
    /// Where the template is wrong, fails or refuses the conversation, and where the call is not as it should be.
    pub fn render(&self, chat: &Chat<'_>) -> Result<String, Error> {
        let source = self.source(chat.tools.is_some())?;
        let mut messages = chat::messages(chat)?;
        if chat.continue_final_message.is_some() && chat.add_generation_prompt {
            return Err(Error::ContinueAndPrompt);
        }
        chat::objects("tool", chat.tools.unwrap_or_default())?;
        chat::objects("document", chat.documents.unwrap_or_default())?;
        let environment = source.environment()?;
        let held = match chat.continue_final_message {
            Some(field) => Some(resume::mark(&mut messages, field, &source.text)?),
            None => None,
        };
        let variables = self.variables(chat, messages)?;
        budget::refill();
        let mut text = Bounded(Vec::new());
        let template = environment.get_template(NAME).map_err(|error| source.failed(&error))?;
        let rendered = template.render_captured_to(value(&Value::Object(variables)), &mut text);
        if let Err(error) = rendered {
            return Err(match text.0.len() > LONGEST {
                true => Error::TooLong { place: source.place.clone(), limit: LONGEST },
                false => source.failed(&error),
            });
        }
        let text = String::from_utf8_lossy(&text.0).into_owned();
        held.map_or(Ok(text.clone()), |held| resume::cut(text, &held))
    }

    fn source(&self, tools: bool) -> Result<&Source, Error> {
        let named = |name: &str| self.sources.iter().find(|source| source.name == name);
        let source = named("tool_use").filter(|_| tools).or_else(|| named("default"));
        source
            .ok_or_else(|| Error::NoDefault { names: self.sources.iter().map(|source| source.name.clone()).collect() })
    }

    fn variables(&self, chat: &Chat<'_>, messages: Vec<Map<String, Value>>) -> Result<Map<String, Value>, Error> {
        let list = |values: Option<&[Value]>| values.map_or(Value::Null, |values| Value::Array(values.to_vec()));
        let own = [
            ("messages", Value::Array(messages.into_iter().map(Value::Object).collect())),
            ("tools", list(chat.tools)),
            ("documents", list(chat.documents)),
            ("add_generation_prompt", Value::Bool(chat.add_generation_prompt)),
        ];
        let mut variables = self.special_tokens.clone();
        if let Some(given) = chat.variables {
            if let Some((name, _)) = own.iter().find(|(name, _)| given.contains_key(*name)) {
                return Err(Error::Variable { name: (*name).to_owned() });
            }
            variables.extend(given.clone());
        }
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Ok(variables)
    }
}

/// A JSON value as one of templates.
fn value(json: &Value) -> minijinja::Value {
    match json {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(is) => minijinja::Value::from(*is),
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(items) => minijinja::Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Value::Object(map) => minijinja::Value::from_pairs(map.iter().map(|(name, item)| (name.as_str(), value(item)))),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => minijinja::Value::from(number),
            (None, Some(number)) => minijinja::Value::from(number),
            (None, None) => minijinja::Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
    }
}

/// What is written, up to the limit; it is longer than that where more was to be written.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (LONGEST + 1).saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.0.len() > LONGEST {
            return Err(io::Error::other("the text is too long"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
