//! A conversation, and what a template is given of it.

use serde_json::{Map, Value};

use crate::Error;

/// What is to be rendered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chat<'a> {
    /// The messages: objects with `role`, `content` and whatever else the template reads.
    pub messages: &'a [Value],
    /// Tools that the model may call, as JSON schemas. `Some` chooses the template `tool_use` where there is one.
    pub tools: Option<&'a [Value]>,
    /// Documents that the answer is to rest on: objects with `title` and `text`.
    pub documents: Option<&'a [Value]>,
    /// Whether the text ends with what begins the model's message.
    pub add_generation_prompt: bool,
    /// The field of the last message that the model is to go on with, mostly `content`: the text ends with it.
    pub continue_final_message: Option<&'a str>,
    /// More variables of the template, such as `enable_thinking`. They go before special tokens.
    pub variables: Option<&'a Map<String, Value>>,
}

/// The names by which reasoning is given in a message; the first is the one that templates read.
pub(crate) const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// The messages as transformers gives them to a template: without fields that are null, and with their reasoning under
/// each name that templates know.
pub(crate) fn messages(chat: &Chat<'_>) -> Result<Vec<Map<String, Value>>, Error> {
    if chat.messages.is_empty() {
        return Err(Error::Empty);
    }
    let objects = objects("message", chat.messages)?;
    Ok(objects.into_iter().map(|message| with_reasoning(without_nulls(message))).collect())
}

/// The objects, or what is none.
pub(crate) fn objects<'a>(what: &'static str, values: &'a [Value]) -> Result<Vec<&'a Map<String, Value>>, Error> {
    let object =
        |(index, value): (usize, &'a Value)| value.as_object().ok_or(Error::NoObject { what, number: index + 1 });
    values.iter().enumerate().map(object).collect()
}

fn without_nulls(message: &Map<String, Value>) -> Map<String, Value> {
    message.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn with_reasoning(message: Map<String, Value>) -> Map<String, Value> {
    let Some(reasoning) = REASONING.iter().find_map(|name| message.get(*name)).cloned() else { return message };
    // A field keeps the place at which it was first, as in Python.
    let mut aliased = Map::new();
    aliased.insert("thinking".to_owned(), reasoning.clone());
    aliased.extend(message);
    aliased.insert("reasoning_content".to_owned(), reasoning);
    aliased
}
