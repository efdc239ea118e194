//! A model that generates, with what its folder says of how: parameters, chat template, tokens of texts.

use std::path::Path;
use std::sync::Arc;

use runtime_chat::{Chat, ChatTemplate};
use runtime_generation::GenerationConfig;
use runtime_graph::Head;
use runtime_models::{EncodeOptions, ModelFolder, Text};
use runtime_tasks::TaskKind;
use runtime_tensor::PlanAdapter;
use serde_json::{Map, Value};

use crate::chat_template::chat_template;
use crate::generate::{Decode, GenerateRequest, GenerationStream, Scored};
use crate::task::head;
use crate::task::text_generation::with_length;
use crate::{Error, LoadOptions, LoadedModel, LogitsProcessor, Registry};

/// A model that generates.
#[derive(Clone)]
pub struct LanguageModel {
    loaded: Arc<LoadedModel>,
    config: GenerationConfig,
    template: Option<Arc<ChatTemplate>>,
    folder: ModelFolder,
    /// What every request is computed with.
    adapter: Option<Arc<PlanAdapter>>,
    /// What changes the scores of every request.
    processors: Vec<LogitsProcessor>,
}

impl LanguageModel {
    /// Loads the model of a folder.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or the model does not generate, saying what it does instead.
    pub fn load<'a>(registry: &Registry, folder: &ModelFolder, how: impl Into<LoadOptions<'a>>) -> Result<Self, Error> {
        match folder.config()?.head {
            Some(Head::Seq2SeqLm) => Self::with_head(registry, folder, how, Head::Seq2SeqLm),
            _ => Self::of(head::load(registry, folder, how.into(), TaskKind::TextGeneration)?, folder),
        }
    }

    /// Loads it with one of the heads that generate.
    pub(crate) fn with_head<'a>(
        registry: &Registry,
        folder: &ModelFolder,
        how: impl Into<LoadOptions<'a>>,
        head: Head,
    ) -> Result<Self, Error> {
        Self::of(registry.load(folder, how, head)?, folder)
    }

    /// A model that is loaded already, with what its folder says.
    pub(crate) fn of(loaded: Arc<LoadedModel>, folder: &ModelFolder) -> Result<Self, Error> {
        Ok(Self {
            config: Self::defaults(folder)?,
            template: chat_template(folder)?.map(Arc::new),
            // Its place alone, without what was read of it.
            folder: ModelFolder::new(folder.path()),
            loaded,
            adapter: None,
            processors: Vec::new(),
        })
    }

    /// The same model, its weights shared, whose requests are computed with an adapter; `path` is its folder.
    ///
    /// # Errors
    /// Where the adapter is for another model, or does more than can be done beside a model's weights.
    pub fn with_adapter(&self, path: &Path) -> Result<Self, Error> {
        Ok(Self { adapter: Some(self.loaded.adapter(&self.folder, path)?), ..self.clone() })
    }

    /// The same model, whose scores a plugin changes too, behind those that do already.
    #[must_use]
    pub fn with_processor(&self, processor: LogitsProcessor) -> Self {
        let mut model = self.clone();
        model.processors.push(processor);
        model
    }

    /// What the files of a folder say of how to generate; no weights are loaded.
    ///
    /// # Errors
    /// Where a file is damaged, or says what is not done here.
    pub fn defaults(folder: &ModelFolder) -> Result<GenerationConfig, Error> {
        defaults(folder)
    }

    /// What `generation_config.json` says.
    pub fn config(&self) -> &GenerationConfig {
        &self.config
    }

    /// What a call that gives `params` asks for: these over what the model's files say, and 256 new tokens where nothing
    /// says how many.
    ///
    /// # Errors
    /// Where one is unknown, out of range, or contradicts another.
    pub fn configured(&self, params: &Map<String, Value>) -> Result<GenerationConfig, Error> {
        Ok(with_length(self.config.with_params(params)?))
    }

    /// Whether the vocabulary can write what a constraint asks for, before there is a prompt.
    ///
    /// # Errors
    /// Where it cannot, or has no bytes.
    pub(crate) fn check(&self, config: &GenerationConfig) -> Result<(), Error> {
        match &config.constraint {
            Some(constraint) => {
                let behind_space = self.is_encoder_decoder() && self.drops_space(&[])?;
                self.loaded.vocabulary()?.compile(constraint, behind_space).map(drop).map_err(Error::from)
            }
            None => Ok(()),
        }
    }

    /// The model's folder.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// Tokens that a prompt and what follows may have together, where there is a limit.
    pub fn context(&self) -> Option<usize> {
        self.loaded.model.context
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
        Ok(self.template()?.render(chat)?)
    }

    /// # Errors
    /// Where there is none.
    pub(crate) fn template(&self) -> Result<&ChatTemplate, Error> {
        let missing = || runtime_chat::Error::NoTemplate { folder: self.folder.path().to_owned() };
        Ok(self.template.as_deref().ok_or_else(missing)?)
    }

    /// How likely each of several continuations of a prompt is, token by token.
    ///
    /// # Errors
    /// Where they are too long, or the model fails.
    pub(crate) async fn score(&self, prompt: Vec<u32>, continuations: Vec<Vec<u32>>) -> Result<Scored, Error> {
        let (adapter, limit) = (self.plan_adapter(), self.loaded.model.context);
        self.loaded.generator()?.score(prompt, continuations, adapter, limit).await
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

    /// The tokens that are single bytes, `<0x00>` to `<0xFF>`, of a vocabulary that has them for what it lacks.
    pub fn byte_tokens(&self) -> Arc<[u32]> {
        (0..=u8::MAX).filter_map(|byte| self.loaded.model.tokenizer.id(&format!("<0x{byte:02X}>"))).collect()
    }

    /// The text of tokens without special ones; spaces are cleaned up as asked, or as the tokenizer's files say.
    pub(crate) fn decode_as(&self, tokens: &[u32], clean_up: Option<bool>) -> Result<String, Error> {
        Ok(self.loaded.model.tokenizer.decode(tokens, true, clean_up)?)
    }

    /// Whether it reads a source with an encoder of its own, instead of going on from a prompt.
    pub fn is_encoder_decoder(&self) -> bool {
        self.loaded.model.head == Head::Seq2SeqLm
    }

    /// Goes on from a prompt, or answers a source, up to the length that the model was trained for. With `keep`, keys
    /// and values are kept for a prompt that begins with the same tokens.
    ///
    /// # Errors
    /// Where the tokens are too many, or the parameters do not fit.
    pub fn generate(&self, tokens: Vec<u32>, config: GenerationConfig, keep: bool) -> Result<GenerationStream, Error> {
        let request = self.request(tokens, config)?;
        let limit = self.loaded.model.context;
        self.loaded.generator()?.generate(GenerateRequest { limit, keep, ..request })
    }

    /// As transformers does it: beyond that length too, and in a batch where `row` are the tokens with their padding.
    pub(crate) fn generate_as_recorded(
        &self,
        tokens: Vec<u32>,
        row: Vec<u32>,
        config: GenerationConfig,
    ) -> Result<GenerationStream, Error> {
        let padding = if self.is_encoder_decoder() { 0 } else { row.len() - tokens.len() };
        let request = self.request(tokens, config)?;
        self.loaded.generator()?.generate(GenerateRequest { padding, encoder_input: Some(row), ..request })
    }

    fn request(&self, tokens: Vec<u32>, config: GenerationConfig) -> Result<GenerateRequest, Error> {
        if config.num_beams > 1 && !self.processors.is_empty() {
            return Err(Error::PluginBeams);
        }
        let (source, prompt) = match self.is_encoder_decoder() {
            true => (Some(tokens), vec![config.start_token().ok_or(Error::NoStartToken)?]),
            false => (None, tokens),
        };
        let decode = self.decoder();
        let matcher = match &config.constraint {
            Some(constraint) => {
                // The decoder of an encoder-decoder gives a text of its own, that of others one behind the prompt.
                let before = if source.is_some() { &[][..] } else { &prompt };
                let behind_space = self.drops_space(before)?;
                Some(self.loaded.vocabulary()?.compile(constraint, behind_space)?)
            }
            None => None,
        };
        Ok(GenerateRequest {
            source,
            prompt,
            config,
            padding: 0,
            encoder_input: None,
            adapter: self.plan_adapter(),
            limit: None,
            keep: false,
            decode,
            plugins: self.processors.clone(),
            matcher,
        })
    }

    fn plan_adapter(&self) -> Option<PlanAdapter> {
        self.adapter.as_deref().cloned()
    }

    /// Whether a space with which the text behind these tokens begins is dropped when they are decoded, as SentencePiece
    /// has it where a text starts.
    fn drops_space(&self, before: &[u32]) -> Result<bool, Error> {
        let Some(space) = self.loaded.vocabulary()?.space() else { return Ok(false) };
        let text = self.decode(before, true)?;
        let with = self.decode(&[before, &[space]].concat(), true)?;
        Ok(!with.chars().skip(text.chars().count()).collect::<String>().starts_with(' '))
    }

    fn decoder(&self) -> Decode {
        let loaded = Arc::clone(&self.loaded);
        Arc::new(move |tokens| Ok(loaded.model.tokenizer.decode(tokens, false, Some(false))?))
    }
}

/// The fields of `generation_config.json`; of a model without it, those of `config.json`, which older models have there.
fn defaults(folder: &ModelFolder) -> Result<GenerationConfig, Error> {
    let fields = |file| match folder.json(file) {
        Ok(Some(Value::Object(fields))) => Ok(Some(fields)),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    match fields("generation_config.json")? {
        Some(fields) => Ok(GenerationConfig::from_file(&fields)?),
        None => Ok(GenerationConfig::from_model_config(&fields("config.json")?.unwrap_or_default())?),
    }
}
