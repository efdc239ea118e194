//! `summarization` and `translation`: an encoder-decoder writes a text for a text.

use runtime_generation::GenerationConfig;
use runtime_models::ModelFolder;
use runtime_tasks::{TextToText as Options, Translation};
use serde_json::{Map, Value, json};

use crate::task::encode::Limit;
use crate::task::text_generation::with_length;
use crate::task::{Fields, TaskAnswer};
use crate::{Error, LanguageModel};

/// A task of an encoder-decoder.
pub struct TextToText {
    model: LanguageModel,
    config: GenerationConfig,
    options: Options,
    /// The field of the result.
    field: &'static str,
    prefix: String,
    /// The token that names the language of texts, where it is another than the tokenizer's.
    source_language: Option<u32>,
    truncate: bool,
}

impl TextToText {
    /// Writes summaries.
    ///
    /// # Errors
    /// Where the parameters do not go with those of the model.
    pub(crate) fn summarization(
        model: LanguageModel,
        folder: &ModelFolder,
        options: &Options,
        truncate: bool,
    ) -> Result<Self, Error> {
        let specific = specific(folder, |task| task == "summarization")?;
        Self::new(model, "summary_text", options, &specific, Map::new(), truncate)
    }

    /// Writes translations.
    ///
    /// # Errors
    /// As there, or where the model does not know a language.
    pub(crate) fn translation(
        model: LanguageModel,
        folder: &ModelFolder,
        options: &Translation,
        truncate: bool,
    ) -> Result<Self, Error> {
        let Translation { src_lang, tgt_lang, text } = options;
        let pair = src_lang.as_deref().zip(tgt_lang.as_deref());
        let named = pair.map(|(from, to)| format!("translation_{from}_to_{to}"));
        let specific = specific(folder, |task| named.as_deref() == Some(task))?;
        let known = |key: &'static str, language: &Option<String>| match language.as_deref() {
            // A model that is told what to do in words has no tokens for languages.
            None => Ok(None),
            Some(_) if !specific.is_empty() => Ok(None),
            Some(language) => match language_token(&model, language) {
                Some(token) => Ok(Some(token)),
                None => Err(Error::NoLanguage { key, language: language.to_owned() }),
            },
        };
        let (source, target) = (known("src_lang", src_lang)?, known("tgt_lang", tgt_lang)?);
        let begin = target.map(|target| ("forced_bos_token_id".to_owned(), Value::from(target)));
        let mut task = Self::new(model, "translation_text", text, &specific, Map::from_iter(begin), truncate)?;
        task.source_language = source;
        Ok(task)
    }

    fn new(
        model: LanguageModel,
        field: &'static str,
        options: &Options,
        specific: &Map<String, Value>,
        implied: Map<String, Value>,
        truncate: bool,
    ) -> Result<Self, Error> {
        let prefix = specific.get("prefix").and_then(Value::as_str).unwrap_or_default().to_owned();
        let names = GenerationConfig::names();
        let mut params: Map<String, Value> = specific.clone();
        params.retain(|name, _| names.contains(&name.as_str()));
        params.extend(implied);
        params.extend(options.generate.clone());
        let config = with_length(model.config().with_params(&params)?);
        model.check(&config)?;
        let (options, prefix) = (options.clone(), options.prefix.clone().unwrap_or(prefix));
        Ok(Self { model, config, options, field, prefix, source_language: None, truncate })
    }

    /// Answers `text`.
    ///
    /// # Errors
    /// Where there is none, it is too long and may not be cut off, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let text = format!("{}{}", self.prefix, input.text("text")?);
        let model = &self.model.loaded().model;
        let encoded = Limit::of(model, self.truncate).encode(model, &text, None)?;
        let mut tokens = encoded.sequence.token_ids;
        if let Some(language) = self.source_language {
            // Its place is the first or, in mBART, the last.
            for place in [0, tokens.len() - 1] {
                if model.tokenizer.token(tokens[place]).is_some_and(|token| is_language(&token)) {
                    tokens[place] = language;
                }
            }
        }
        let generated = self.model.generate(tokens, self.config.clone(), false)?.finish().await?;
        let written: usize = generated.sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        let results = generated.sequences.iter().map(|sequence| {
            let text = self.model.decode_as(&sequence.tokens, self.options.clean_up_tokenization_spaces)?;
            Ok(json!({self.field: text}))
        });
        Ok(TaskAnswer {
            result: results.collect::<Result<_, Error>>()?,
            time: generated.time,
            tokens: generated.prompt_tokens + written,
            truncated: usize::from(encoded.truncated),
        })
    }
}

/// What `task_specific_params` in `config.json` says of a task.
fn specific(folder: &ModelFolder, is_it: impl Fn(&str) -> bool) -> Result<Map<String, Value>, Error> {
    let config = folder.json("config.json")?.unwrap_or_default();
    let tasks = config["task_specific_params"].as_object();
    let found = tasks.and_then(|tasks| tasks.iter().find(|(task, _)| is_it(task)));
    Ok(found.and_then(|(_, params)| params.as_object()).cloned().unwrap_or_default())
}

/// The token of a language, written as the model writes it.
fn language_token(model: &LanguageModel, language: &str) -> Option<u32> {
    let tokenizer = &model.loaded().model.tokenizer;
    let forms = [language.to_owned(), format!("__{language}__"), format!(">>{language}<<")];
    forms.iter().find_map(|form| tokenizer.id(form))
}

/// Whether a token names a language: `en_XX`, `deu_Latn`, `__fr__`.
fn is_language(token: &str) -> bool {
    let inner = token.trim_matches('_');
    let parts: Vec<&str> = inner.split('_').collect();
    let letters = |part: &&str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.chars().all(|char| char.is_ascii_alphabetic())
    };
    match parts.as_slice() {
        [language] => token.starts_with("__") && letters(language, 2..=3),
        [language, place] => letters(language, 2..=3) && letters(place, 2..=4),
        _ => false,
    }
}
