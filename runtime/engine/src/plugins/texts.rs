//! Tokenizers and the log, for plugins.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use runtime_models::{EncodeOptions, Text, TokenBytes, Tokenizer};
use runtime_plugin_host::{Failure, Level, TextHost, Token, Vocabulary};

use crate::LoadedModel;

/// A tokenizer that is granted.
pub(crate) struct HeldTokenizer {
    holder: Holder,
    /// What its tokens add to a text, read when it is first asked for; none where they do not say.
    vocabulary: OnceLock<Option<Vocabulary>>,
}

enum Holder {
    Own(Box<Tokenizer>),
    Model(Arc<LoadedModel>),
}

impl HeldTokenizer {
    /// One that no loaded model has.
    pub(crate) fn own(tokenizer: Tokenizer) -> Self {
        Self { holder: Holder::Own(Box::new(tokenizer)), vocabulary: OnceLock::new() }
    }

    /// That of a model.
    pub(crate) fn of_model(model: Arc<LoadedModel>) -> Self {
        Self { holder: Holder::Model(model), vocabulary: OnceLock::new() }
    }

    fn get(&self) -> &Tokenizer {
        match &self.holder {
            Holder::Own(tokenizer) => tokenizer,
            Holder::Model(loaded) => &loaded.model().tokenizer,
        }
    }

    fn vocabulary(&self) -> Option<&Vocabulary> {
        let read = || {
            let mut vocabulary = Vocabulary::default();
            for (number, token) in (0..).zip(self.get().token_bytes()?) {
                match token {
                    None => {}
                    Some(TokenBytes::Text(bytes)) => vocabulary.bytes.extend(bytes),
                    Some(TokenBytes::Special(name)) => {
                        vocabulary.bytes.extend(name.into_bytes());
                        vocabulary.special.push(number);
                    }
                }
                vocabulary.ends.push(u32::try_from(vocabulary.bytes.len()).ok()?);
            }
            Some(vocabulary)
        };
        self.vocabulary.get_or_init(read).as_ref()
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
    fn held(&self, name: &str) -> Result<&HeldTokenizer, Failure> {
        let found = self.tokenizers.get(name).or(self.any.as_ref());
        let missing = || {
            let said = format!("the tokenizer `{name}` is not granted: `tokenizers = {{ {name} = \"MODEL\" }}` would");
            Failure::NotGranted(said)
        };
        found.ok_or_else(missing)
    }

    fn tokenizer(&self, name: &str) -> Result<&Tokenizer, Failure> {
        self.held(name).map(HeldTokenizer::get)
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

    fn vocabulary(&self, tokenizer: &str) -> Result<Vocabulary, Failure> {
        let vocabulary = self.held(tokenizer)?.vocabulary();
        let unsaid = || {
            let said = format!("the tokens of the tokenizer `{tokenizer}` do not say what bytes they add to a text");
            Failure::Wrong(said)
        };
        vocabulary.cloned().ok_or_else(unsaid)
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
