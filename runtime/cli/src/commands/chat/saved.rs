//! Conversations in files: a JSON list of messages.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use runtime_diagnostics::{Exit, Problem};
use serde_json::Value;

use super::conversation::Conversation;
use crate::failure::{Failure, IoError};

/// Reads a conversation.
pub(super) fn load(file: &Path) -> Result<Conversation, Failure> {
    let text = fs::read_to_string(file).map_err(|source| IoError::Read { name: file.display().to_string(), source })?;
    let messages = messages(&text).map_err(|why| {
        let message = format!("`{}` holds no conversation: {why}", file.display());
        Problem::new(Exit::Data, message).hint("it is a list of {\"role\": \"user\", \"content\": \"...\"}")
    })?;
    Ok(Conversation::of(messages))
}

/// Writes a conversation. A file that holds something else is not replaced.
pub(super) fn save(conversation: &Conversation, file: &Path) -> Result<(), Problem> {
    let failed = |source: io::Error| Problem::of(&IoError::Write { name: file.display().to_string(), source });
    let known = match fs::read_to_string(file) {
        Ok(text) => text.trim().is_empty() || messages(&text).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !known {
        let message = format!("`{}` is there already, and holds no conversation", file.display());
        return Err(Problem::new(Exit::Usage, message).hint("save to another file"));
    }
    let mut text = serde_json::to_string_pretty(conversation.messages()).map_err(|error| failed(error.into()))?;
    text.push('\n');
    let mut writer = OpenOptions::new().write(true).create(true).truncate(true).open(file).map_err(failed)?;
    writer.write_all(text.as_bytes()).map_err(failed)
}

/// The messages of a file, or why there are none.
fn messages(text: &str) -> Result<Vec<Value>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Array(messages) = value else {
        return Err(format!("it is {}", runtime_engine::type_name(&value)));
    };
    match messages.iter().position(|message| !message["role"].is_string()) {
        Some(place) => Err(format!("message {} has no `role`", place + 1)),
        None => Ok(messages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_comes_back_and_replaces_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("chat.json");
        let mut conversation = Conversation::new();
        conversation.ask("hé \"you\"");
        save(&conversation, &file).expect("it is new");
        conversation.answer("x");
        save(&conversation, &file).expect("it is a conversation");
        assert_eq!(load(&file).expect("a conversation"), conversation);
        for (text, why) in [("{}", "it is an object"), ("[{}]", "message 1 has no `role`"), ("x", "expected value")] {
            fs::write(&file, text).expect("a file");
            assert!(messages(text).expect_err(text).contains(why), "{text}");
            assert!(load(&file).is_err() && save(&conversation, &file).is_err(), "{text}");
        }
    }
}
