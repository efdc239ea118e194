//! The chat template of a model, wherever it stands.

use runtime_chat::ChatTemplate;
use runtime_models::ModelFolder;
use serde_json::Value;

use crate::Error;

/// The chat templates of a model, or `None` where it has none.
///
/// # Errors
/// Where a file cannot be read or is not as it should be.
pub fn chat_template(folder: &ModelFolder) -> Result<Option<ChatTemplate>, Error> {
    let Some(file) = folder.gguf_file()? else { return Ok(ChatTemplate::read(folder.path())?) };
    let config = folder.json("tokenizer_config.json")?;
    let config = config.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(ChatTemplate::of_config(&file, &config)?)
}
