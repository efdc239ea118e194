//! Plugins that change the scores of the next token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_plugin_host::{Error, Fields, Granted, LogitsPlugin, Processor};

use super::texts::{HeldTokenizer, Texts};
use crate::{LanguageModel, LoadedModel, Registry};

/// What a processor may use that a command names.
const COMMAND: Granted =
    Granted { memory: 256 << 20, time: Duration::from_secs(10), log_text: true, by_pipeline: false };

/// A plugin that is to change the scores of a model, with what it is set up with and granted.
#[derive(Clone)]
pub struct LogitsProcessor(Arc<Setup>);

struct Setup {
    plugin: LogitsPlugin,
    parameters: Fields,
    granted: Granted,
    texts: Arc<Texts>,
}

impl LogitsProcessor {
    /// A plugin that a command names, which [`Registry::named_logits_plugin`] has found, for a model. It has
    /// [more time and memory](COMMAND) than a pipeline grants that says nothing, since nobody else waits for it, and may say
    /// what it likes: whoever asks is the one who reads it.
    ///
    /// # Errors
    /// Where it refuses its parameters or the model's tokenizer.
    pub fn of_command(
        registry: &Registry,
        plugin: LogitsPlugin,
        parameters: Fields,
        model: &LanguageModel,
    ) -> Result<Self, Error> {
        let name = plugin.description().name.clone();
        let processor = Self::new(plugin, &name, parameters, COMMAND, model.loaded(), registry.tell())?;
        processor.start(&[])?;
        Ok(processor)
    }

    /// `name` is what the log calls the plugin.
    ///
    /// # Errors
    /// Where the parameters do not fit what the plugin describes.
    pub(crate) fn new(
        plugin: LogitsPlugin,
        name: &str,
        parameters: Fields,
        granted: Granted,
        model: &Arc<LoadedModel>,
        tell: fn(&str),
    ) -> Result<Self, Error> {
        plugin.check(&parameters)?;
        let texts = Texts {
            plugin: name.to_owned(),
            tokenizers: Default::default(),
            any: Some(HeldTokenizer::of_model(Arc::clone(model))),
            log_text: granted.log_text,
            tell,
        };
        Ok(Self(Arc::new(Setup { plugin, parameters, granted, texts: Arc::new(texts) })))
    }

    /// For one text behind a prompt.
    ///
    /// # Errors
    /// Where the plugin refuses its parameters, or is ended.
    pub(crate) fn start(&self, prompt: &[u32]) -> Result<Acting, Error> {
        let Setup { plugin, parameters, granted, texts } = &*self.0;
        let processor = plugin.start(parameters.clone(), prompt, *granted, texts.clone())?;
        Ok(Acting { processor, seen: prompt.len() })
    }
}

impl fmt::Debug for LogitsProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogitsProcessor").field(&self.0.plugin.description().name).finish()
    }
}

/// A plugin at work on one text.
pub(crate) struct Acting {
    processor: Processor,
    /// Tokens of the text that it knows.
    seen: usize,
}

impl Acting {
    /// Changes the scores of the token behind `tokens`, the whole text.
    ///
    /// # Errors
    /// Where it is ended, or makes scores that are none.
    pub(crate) fn process(&mut self, tokens: &[u32], scores: &mut [f32]) -> Result<(), Error> {
        let new = &tokens[self.seen..];
        self.seen = tokens.len();
        self.processor.process(new, scores)
    }
}
