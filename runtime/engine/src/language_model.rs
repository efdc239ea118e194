//! A model that generates, with what its folder says of how: parameters, chat template, tokens of texts.

use std::sync::Arc;

use runtime_chat::{Chat, ChatTemplate};
use runtime_generation::GenerationConfig;
use runtime_graph::Head;
use runtime_models::{EncodeOptions, ModelFolder, Text};
use serde_json::{Map, Value};

use crate::generate::{Decode, GenerateRequest, GenerationStream};
use crate::{Error, LoadOptions, LoadedModel, Registry};

/// A model that generates.
#[derive(Clone)]
pub struct LanguageModel {
    loaded: Arc<LoadedModel>,
    config: GenerationConfig,
    template: Option<Arc<ChatTemplate>>,
    folder: ModelFolder,
}

impl LanguageModel {
    /// Loads the model of a folder.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or the model does not generate.
    pub fn load<'a>(registry: &Registry, folder: &ModelFolder, how: impl Into<LoadOptions<'a>>) -> Result<Self, Error> {
        let loaded = registry.load(folder, how, Head::CausalLm)?;
        Ok(Self {
            config: GenerationConfig::from_file(&defaults(folder)?)?,
            template: ChatTemplate::read(folder.path())?.map(Arc::new),
            folder: folder.clone(),
            loaded,
        })
    }

    /// What `generation_config.json` says.
    pub fn config(&self) -> &GenerationConfig {
        &self.config
    }

    /// The loaded model.
    pub fn loaded(&self) -> &Arc<LoadedModel> {
        &self.loaded
    }

    /// The tokens of a text, with the special tokens that the tokenizer adds.
    ///
    /// # Errors
    /// Where it cannot be tokenized.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode(text, true)
    }

    /// The text that a conversation is for the model.
    ///
    /// # Errors
    /// Where the model has no chat template, or it fails.
    pub fn render(&self, chat: &Chat<'_>) -> Result<String, Error> {
        let template = self.template.as_deref();
        let template =
            template.ok_or_else(|| runtime_chat::Error::NoTemplate { folder: self.folder.path().to_owned() })?;
        Ok(template.render(chat)?)
    }

    /// The tokens of a conversation.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn chat_tokens(&self, chat: &Chat<'_>) -> Result<Vec<u32>, Error> {
        self.encode(&self.render(chat)?, false)
    }

    /// Whether it has a chat template.
    pub fn is_chat(&self) -> bool {
        self.template.is_some()
    }

    /// The tokens of a text, with or without special ones around it.
    ///
    /// # Errors
    /// Where it cannot be tokenized.
    pub fn encode(&self, text: &str, special_tokens: bool) -> Result<Vec<u32>, Error> {
        let options = EncodeOptions { special_tokens, ..EncodeOptions::default() };
        Ok(self.loaded.model.tokenizer.encode_first(Text::Whole(text), None, &options)?.token_ids)
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn decode(&self, tokens: &[u32], skip_special_tokens: bool) -> Result<String, Error> {
        Ok(self.loaded.model.tokenizer.decode(tokens, skip_special_tokens, Some(false))?)
    }

    /// Goes on from a prompt.
    ///
    /// # Errors
    /// Where the prompt is too long, or the parameters do not fit.
    pub fn generate(&self, prompt: Vec<u32>, config: GenerationConfig, keep: bool) -> Result<GenerationStream, Error> {
        self.generate_padded(prompt, 0, config, keep)
    }

    pub(crate) fn generate_padded(
        &self,
        prompt: Vec<u32>,
        padding: usize,
        config: GenerationConfig,
        keep: bool,
    ) -> Result<GenerationStream, Error> {
        let request = GenerateRequest { prompt, config, padding, keep, decode: self.decoder() };
        self.loaded.generator()?.generate(request)
    }

    fn decoder(&self) -> Decode {
        let loaded = Arc::clone(&self.loaded);
        Arc::new(move |tokens| Ok(loaded.model.tokenizer.decode(tokens, false, Some(false))?))
    }
}

/// The fields of `generation_config.json`; of a model without it, those of `config.json`, which older models have there.
fn defaults(folder: &ModelFolder) -> Result<Map<String, Value>, Error> {
    let fields = match folder.json("generation_config.json")? {
        None => folder.json("config.json")?,
        found => found,
    };
    match fields {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Ok(Map::new()),
    }
}
