//! The cases of `chat-template`: a conversation as the text, and the tokens, that a model is given.

use runtime_chat::{Chat, ChatTemplate};
use runtime_models::{ModelFolder, Tokenizer, tokenize_call};
use serde_json::{Map, Value, json};

use crate::Error;

/// The template of a model.
pub(super) fn chat_template(folder: &ModelFolder) -> Result<ChatTemplate, Error> {
    crate::chat_template(folder)?
        .ok_or_else(|| Error::Chat(runtime_chat::Error::NoTemplate { folder: folder.path().to_owned() }))
}

/// The `text`, and the `input_ids` of it without more special tokens.
pub(super) fn rendered(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    params: &Map<String, Value>,
    input: &Map<String, Value>,
) -> Result<Value, Error> {
    let list = |name: &str| input.get(name).and_then(Value::as_array).map(Vec::as_slice);
    let mut variables = params.clone();
    let add_generation_prompt = variables.remove("add_generation_prompt").is_some_and(|prompt| prompt == true);
    let field = match variables.remove("continue_final_message") {
        Some(Value::String(field)) => Some(field),
        continued => continued.filter(|continued| *continued == true).map(|_| "content".to_owned()),
    };
    let text = template.render(&Chat {
        messages: list("messages").unwrap_or_default(),
        tools: list("tools"),
        documents: list("documents"),
        add_generation_prompt,
        continue_final_message: field.as_deref(),
        variables: Some(&variables),
    })?;
    let plain = Map::from_iter([("add_special_tokens".to_owned(), Value::Bool(false))]);
    let tokens = tokenize_call(tokenizer, &plain, &Map::from_iter([("text".to_owned(), json!(text))]))?;
    Ok(json!({"text": text, "input_ids": tokens["encodings"][0]["input_ids"]}))
}
