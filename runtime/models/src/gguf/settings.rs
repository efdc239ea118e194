//! `tokenizer_config.json` and `generation_config.json` of a model, from the keys of its file.

use serde_json::{Map, Value, json};

use super::vocabulary::{Kind, Vocabulary};
use super::{Fields, GgufError};

/// Special tokens, the longest sequence, and the chat templates.
pub(super) fn tokenizer(fields: &Fields<'_>) -> Result<Value, GgufError> {
    let vocabulary = Vocabulary::read(fields)?;
    // With the tokens of the vocabulary listed, no other file is looked for, and no class of transformers assumed.
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": {},
        "clean_up_tokenization_spaces": false,
        "model_input_names": ["input_ids", "attention_mask"],
    });
    if let Some(tokens) = fields.size("context_length")? {
        config["model_max_length"] = tokens.into();
    }
    for (role, name) in [
        ("bos_token", "bos"),
        ("eos_token", "eos"),
        ("unk_token", "unknown"),
        ("pad_token", "padding"),
        ("mask_token", "mask"),
    ] {
        let token = fields.token(name)?.and_then(|id| vocabulary.token(id));
        config[role] = token.map_or(Value::Null, Value::from);
    }
    if let Some(templates) = templates(fields)? {
        config["chat_template"] = templates;
    }
    Ok(config)
}

/// The chat template, or a list of named ones.
fn templates(fields: &Fields<'_>) -> Result<Option<Value>, GgufError> {
    const DEFAULT: &str = "tokenizer.chat_template";
    let default = fields.text(DEFAULT)?;
    let named = fields.texts("tokenizer.chat_templates")?.unwrap_or_default();
    if named.is_empty() {
        return Ok(default.map(Value::from));
    }
    let mut all = Map::new();
    all.extend(default.map(|template| ("default".to_owned(), template.into())));
    for name in named {
        let key = format!("{DEFAULT}.{name}");
        let template = fields.text(&key)?.ok_or(GgufError::Missing { key })?;
        all.insert(name.clone(), template.into());
    }
    Ok(Some(all.into_iter().map(|(name, template)| json!({ "name": name, "template": template })).collect()))
}

/// Texts of tokens that end an answer, whatever else the file says, as llama.cpp has them.
const ENDS: [&str; 14] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_utterance>",
    "<eos>",
    "<EOT>",
    "<|eos|>",
];

/// The tokens that end a text, and what the author suggests for sampling.
pub(super) fn generation(fields: &Fields<'_>) -> Result<Value, GgufError> {
    let vocabulary = Vocabulary::read(fields)?;
    let mut config = json!({});
    let mut ends = Vec::new();
    for name in ["eos", "eot", "eom"] {
        ends.extend(fields.token(name)?);
    }
    let control = |token: &&str| vocabulary.id(token).filter(|id| vocabulary.kind(*id) == Kind::Control);
    ends.extend(ENDS.iter().filter_map(control));
    let mut once = Vec::new();
    for id in ends {
        if !once.contains(&id) {
            once.push(id);
        }
    }
    if !once.is_empty() {
        config["eos_token_id"] = once.into();
    }
    for (field, name) in [("bos_token_id", "bos"), ("pad_token_id", "padding")] {
        if let Some(id) = fields.token(name)? {
            config[field] = id.into();
        }
    }
    for (field, name) in
        [("temperature", "temp"), ("top_p", "top_p"), ("min_p", "min_p"), ("repetition_penalty", "penalty_repeat")]
    {
        if let Some(number) = fields.number_at(&format!("general.sampling.{name}"))? {
            config[field] = number.into();
        }
    }
    if let Some(tokens) = fields.size_at("general.sampling.top_k")? {
        config["top_k"] = tokens.into();
    }
    // As an author who suggests a temperature means it.
    if config["temperature"].as_f64().is_some_and(|temperature| temperature > 0.0) {
        config["do_sample"] = true.into();
    }
    Ok(config)
}
