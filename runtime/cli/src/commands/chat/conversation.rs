//! The messages of a conversation.

use runtime_chat::Chat;
use serde_json::{Value, json};

/// Messages as templates read them; a system message, if there is one, comes first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conversation {
    messages: Vec<Value>,
}

impl Conversation {
    /// One without messages.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One with these.
    pub(super) fn of(messages: Vec<Value>) -> Self {
        Self { messages }
    }

    pub(super) fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// What is rendered for the next answer.
    pub(super) fn chat(&self) -> Chat<'_> {
        Chat { messages: &self.messages, add_generation_prompt: true, ..Chat::default() }
    }

    /// Sets the system message, or takes it away.
    pub(super) fn set_system(&mut self, text: Option<String>) {
        if self.has_system() {
            self.messages.remove(0);
        }
        if let Some(text) = text {
            self.messages.insert(0, json!({"role": "system", "content": text}));
        }
    }

    /// Begins anew; the system message stays.
    pub(super) fn reset(&mut self) {
        self.messages.truncate(usize::from(self.has_system()));
    }

    /// Adds what the user says.
    pub(super) fn ask(&mut self, text: &str) {
        self.messages.push(json!({"role": "user", "content": text}));
    }

    /// Adds what the model says.
    pub(super) fn answer(&mut self, text: &str) {
        self.messages.push(json!({"role": "assistant", "content": text}));
    }

    /// Takes the last message away.
    pub(super) fn take_back(&mut self) {
        self.messages.pop();
    }

    fn has_system(&self) -> bool {
        self.messages.first().is_some_and(|message| message["role"] == "system")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_message_is_first_and_stays() {
        let mut conversation = Conversation::new();
        conversation.ask("hi");
        conversation.answer("ho");
        conversation.set_system(Some("be kind".to_owned()));
        conversation.set_system(Some("be brief".to_owned()));
        let roles: Vec<&Value> = conversation.messages().iter().map(|message| &message["role"]).collect();
        assert_eq!(roles, ["system", "user", "assistant"]);
        conversation.reset();
        assert_eq!(conversation.messages(), [json!({"role": "system", "content": "be brief"})]);
        conversation.set_system(None);
        conversation.reset();
        assert_eq!(conversation, Conversation::new());
    }
}
