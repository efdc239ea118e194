//! Tokenizers and the log, for plugins.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_models::{EncodeOptions, Text, Tokenizer};
use runtime_plugin_host::{Failure, Level, TextHost, Token};

use crate::LoadedModel;

/// A tokenizer, wherever it is held.
pub(crate) enum HeldTokenizer {
    Own(Box<Tokenizer>),
    OfModel(Arc<LoadedModel>),
}

impl HeldTokenizer {
    fn get(&self) -> &Tokenizer {
        match self {
            Self::Own(tokenizer) => tokenizer,
            Self::OfModel(loaded) => &loaded.model().tokenizer,
        }
    }
}

/// What a plugin may call of texts.
pub(crate) struct Texts {
    /// What the log calls it.
    pub(crate) plugin: String,
    pub(crate) tokenizers: HashMap<String, HeldTokenizer>,
    /// What serves for names that are not there.
    pub(crate) any: Option<HeldTokenizer>,
    pub(crate) log_text: bool,
    pub(crate) tell: fn(&str),
}

impl Texts {
    fn tokenizer(&self, name: &str) -> Result<&Tokenizer, Failure> {
        let found = self.tokenizers.get(name).or(self.any.as_ref());
        let missing = || {
            let said = format!("the tokenizer `{name}` is not granted: `tokenizers = {{ {name} = \"MODEL\" }}` would");
            Failure::NotGranted(said)
        };
        found.map(HeldTokenizer::get).ok_or_else(missing)
    }
}

impl TextHost for Texts {
    fn encode(&self, tokenizer: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure> {
        let options = EncodeOptions { special_tokens: special, ..EncodeOptions::default() };
        let encoding = self.tokenizer(tokenizer)?.encode_first(Text::Whole(text), None, &options);
        let encoding = encoding.map_err(|error| Failure::Wrong(error.to_string()))?;
        // From code points to bytes.
        let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
        let byte = |point: usize| u32::try_from(starts[point.min(starts.len() - 1)]).unwrap_or(u32::MAX);
        let mut before = 0;
        let tokens = encoding.token_ids.iter().zip(&encoding.offsets).zip(&encoding.special);
        let token = |((id, (start, end)), special): ((&u32, &(usize, usize)), &bool)| {
            // A special token stands where the one before it ended.
            let (start, end) = if *special { (before, before) } else { (byte(*start), byte(*end)) };
            before = end;
            Token { id: *id, start, end }
        };
        Ok(tokens.map(token).collect())
    }

    fn decode(&self, tokenizer: &str, ids: &[u32], skip_special: bool) -> Result<String, Failure> {
        let text = self.tokenizer(tokenizer)?.decode(ids, skip_special, Some(false));
        text.map_err(|error| Failure::Wrong(error.to_string()))
    }

    fn token_id(&self, tokenizer: &str, token: &str) -> Result<Option<u32>, Failure> {
        Ok(self.tokenizer(tokenizer)?.id(token))
    }

    fn log(&self, level: Level, message: &str) {
        if !self.log_text {
            return;
        }
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
        };
        (self.tell)(&format!("plugin `{}`, {level}: {message}", self.plugin));
    }
}
