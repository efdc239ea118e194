//! `continue_final_message`: the text ends where the last message ends, so that the model goes on with it.
//!
//! As in transformers, a mark is put behind the message before the template is rendered, and the text cut at the mark.

use serde_json::{Map, Value};

use crate::Error;
use crate::chat::REASONING;
use crate::python::is_space;

const MARK: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// Puts the mark behind the field of the last message, and returns what it held.
pub(crate) fn mark(messages: &mut [Map<String, Value>], field: &str, template: &str) -> Result<String, Error> {
    let fails = |reason: String| Error::Continue { reason };
    let last = messages.last_mut().ok_or(Error::Empty)?;
    let Some(content) = last.get(field).filter(|content| !content.is_null()).cloned() else {
        return Err(fails(format!("it has no `{field}`")));
    };
    // Reasoning is there under several names, of which a template may read any.
    let fields: Vec<&str> = match REASONING.contains(&field) {
        true => REASONING.into_iter().filter(|name| last.get(*name) == Some(&content)).collect(),
        false => vec![field],
    };
    if !fields.iter().any(|field| template.contains(field)) {
        return Err(fails(format!("the chat template does not read `{field}`")));
    }
    match content {
        Value::Array(_) => {
            let parts = last.get_mut(field).and_then(Value::as_array_mut);
            let with_text = parts.into_iter().flatten().rev().find_map(|part| part.get_mut("text"));
            match with_text {
                Some(Value::String(text)) => {
                    let held = text.clone();
                    text.push_str(MARK);
                    Ok(held)
                }
                _ => Err(fails(format!("its `{field}` has no text"))),
            }
        }
        Value::String(held) => {
            for field in fields {
                last.insert(field.to_owned(), Value::String(format!("{held}{MARK}")));
            }
            Ok(held)
        }
        _ => Err(fails(format!("its `{field}` is no text"))),
    }
}

/// The text up to the mark.
pub(crate) fn cut(mut rendered: String, held: &str) -> Result<String, Error> {
    let tag = MARK.trim_end();
    let at = rendered.rfind(tag).filter(|_| rendered.contains(held.trim_matches(is_space)));
    let Some(at) = at else {
        let reason = "the chat template does not render all of it".to_owned();
        return Err(Error::Continue { reason });
    };
    let spaced = rendered[at..].starts_with(MARK);
    rendered.truncate(at);
    if !spaced {
        // The template trims the message.
        rendered.truncate(rendered.trim_end_matches(is_space).len());
    }
    Ok(rendered)
}
