//! What `tokenizer_config.json`, `special_tokens_map.json` and the tokenizer's class add to `tokenizer.json`.

use std::collections::BTreeMap;

use serde_json::Value;
use tokenizers::{PaddingDirection, TruncationDirection};

use super::Side;
use super::class::Class;
use super::special::{Special, content};
use crate::{Error, ModelFolder};

/// How a tokenizer is used where a call does not say otherwise.
#[derive(Debug)]
pub(super) struct Settings {
    /// `model_max_length`, in tokens.
    pub(super) max_length: Option<usize>,
    pub(super) truncation_side: Side,
    pub(super) padding_side: Side,
    /// `clean_up_tokenization_spaces`.
    pub(super) clean_up: bool,
    /// Whether it is done for BPE too.
    pub(super) clean_up_bpe: bool,
    /// Whether special tokens in a text are taken for plain text.
    pub(super) split_special_tokens: bool,
    pub(super) token_types: bool,
    /// Tokens by their role.
    tokens: BTreeMap<&'static str, String>,
}

impl Settings {
    pub(super) fn read(
        folder: &ModelFolder,
        config: &Value,
        class: &Class,
        inner: &tokenizers::Tokenizer,
    ) -> Result<Self, Error> {
        // Where the configuration has the added tokens, transformers does not read the other file.
        let map = match config.get("added_tokens_decoder") {
            Some(_) => None,
            None => folder.json("special_tokens_map.json")?,
        };
        let mut tokens = BTreeMap::new();
        for role in Special::ALL {
            let field = role.field();
            let named = map.as_ref().and_then(|map| map.get(field)).or_else(|| config.get(field));
            let token = match named {
                Some(token) => content(token).map(str::to_owned),
                None => baked_in(role, inner).or_else(|| class.token(role).map(str::to_owned)),
            };
            tokens.extend(token.map(|token| (field, token)));
        }
        let flag = |name: &str| config[name].as_bool().unwrap_or(false);
        let baked = inner.get_truncation().map(|params| match params.direction {
            TruncationDirection::Left => Side::Left,
            TruncationDirection::Right => Side::Right,
        });
        let baked_padding = inner.get_padding().map(|params| match params.direction {
            PaddingDirection::Left => Side::Left,
            PaddingDirection::Right => Side::Right,
        });
        let inputs = config["model_input_names"].as_array();
        Ok(Self {
            // A tokenizer without a limit has 1e30 there.
            max_length: config["model_max_length"].as_u64().and_then(|length| usize::try_from(length).ok()),
            truncation_side: Side::read(&config["truncation_side"]).or(baked).unwrap_or(Side::Right),
            padding_side: Side::read(&config["padding_side"]).or(baked_padding).unwrap_or_else(|| class.padding_side()),
            clean_up: flag("clean_up_tokenization_spaces"),
            clean_up_bpe: flag("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"),
            split_special_tokens: flag("split_special_tokens"),
            token_types: inputs
                .map_or_else(|| class.token_types(), |names| names.iter().any(|name| name == "token_type_ids")),
            tokens,
        })
    }

    /// The token of a role.
    pub(super) fn named(&self, role: Special) -> Option<&str> {
        self.tokens.get(role.field()).map(String::as_str)
    }
}

/// Special tokens that a file carries without a name: those of the padding that is baked in.
fn baked_in(role: Special, inner: &tokenizers::Tokenizer) -> Option<String> {
    let padding = inner.get_padding().filter(|_| role == Special::Padding)?;
    Some(padding.pad_token.clone())
}

impl Side {
    /// As `padding_side` and `truncation_side` write it.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "left" => Some(Self::Left),
            "right" => Some(Self::Right),
            _ => None,
        }
    }
}
