//! `sentence-embedding`: one vector for each text.

use std::sync::Arc;

use runtime_models::{EncodeOptions, ModelFolder, Text};
use runtime_tasks::{Embedding as Options, Pooling as Asked, TaskKind};
use serde_json::{Value, json};

use super::encode::{Encoded, Limit};
use super::feature_extraction::hidden_states;
use super::scores::{check_finite, number};
use super::{Fields, TaskAnswer, head};
use crate::registry::{LoadOptions, LoadedModel};
use crate::sentence::{
    Mode, Module, Modules, Pooling, SentenceError, Settings, SimilarityFunction, TransformerSettings, normalize,
};
use crate::{Error, Registry};

/// The vectors of texts, by the modules of a sentence-transformers folder or of the mean over the tokens.
pub struct SentenceEmbedding {
    model: Arc<LoadedModel>,
    limit: Limit,
    reading: TransformerSettings,
    pooling: Pooling,
    after: Vec<Module>,
    /// What is put in front of each text, with its length in tokens.
    prompt: Option<(String, usize)>,
    /// Numbers that are kept.
    dimensions: usize,
    /// Whether the vectors are normalised in the end.
    normalize: bool,
    /// How the folder would have them compared.
    pub(super) similarity: Option<String>,
}

impl SentenceEmbedding {
    /// Loads the transformer of a folder and its modules.
    ///
    /// # Errors
    /// Where they cannot be loaded, or do not fit together or the options.
    pub fn load(
        registry: &Registry,
        folder: &ModelFolder,
        how: LoadOptions<'_>,
        (kind, options): (TaskKind, &Options),
        truncate: bool,
    ) -> Result<Self, Error> {
        let (modules, settings, reading) = if options.sentence_transformers {
            let modules = Modules::read(folder)?;
            let reading = TransformerSettings::read(&modules.transformer)?;
            (modules, Settings::read(folder)?, reading)
        } else {
            (Modules::plain(folder), Settings::default(), TransformerSettings::default())
        };
        let model = head::load(registry, &modules.transformer, how, kind)?;
        let asked = options.max_seq_length.or(reading.max_seq_length);
        let limit = Limit::with(&model.model, asked, truncate);
        let pooling = match options.pooling.map(mode) {
            Some(mode) => modules.pooling.with(mode),
            None => modules.pooling,
        };
        let mut after = modules.after;
        if options.normalize == Some(false) {
            after.retain(|module| !matches!(module, Module::Normalize));
        }
        let width = pooling.width(model.model.width);
        let width = after.iter().try_fold(width, |width, module| match module {
            Module::Normalize => Ok(width),
            Module::Dense(dense) => dense.width(width),
        })?;
        let dimensions = options.truncate_dim.or(settings.truncate_dim).unwrap_or(width);
        if dimensions > width {
            return Err(SentenceError::TruncateDim { asked: dimensions, width }.into());
        }
        let prompt = settings.prompt(options.prompt.as_deref(), options.prompt_name.as_deref())?;
        let prompt = prompt.map(|prompt| {
            let length = prompt_length(&model, limit, &reading.prepare(&prompt))?;
            Ok::<_, Error>((prompt, length))
        });
        Ok(Self {
            prompt: prompt.transpose()?,
            similarity: settings.similarity,
            normalize: options.normalize == Some(true),
            limit,
            reading,
            pooling,
            after,
            dimensions,
            model,
        })
    }

    /// The vector of `text`, or the list of those of `texts`.
    ///
    /// # Errors
    /// Where a field is missing or wrong, a text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let field = if input.get("texts").is_some() { "texts" } else { "text" };
        let (vectors, answer) = self.embed(&input.texts(field)?).await?;
        let mut vectors = vectors.into_iter().map(|vector| vector.into_iter().map(number).collect());
        let result = match input.get(field) {
            Some(Value::Array(_)) => vectors.collect(),
            _ => vectors.next().unwrap_or(Value::Null),
        };
        Ok(TaskAnswer { result, ..answer })
    }

    /// The vectors of `texts`, which may be empty ones, and the cosine of each with each.
    pub(crate) async fn recorded(&self, input: Fields<'_>) -> Result<Value, Error> {
        let (vectors, _) = self.embed(&input.any_texts("texts")?).await?;
        let cosines =
            |a: &Vec<f32>| -> Value { vectors.iter().map(|b| number(SimilarityFunction::Cosine.of(a, b))).collect() };
        let cosines: Vec<Value> = vectors.iter().map(cosines).collect();
        let vectors: Vec<Value> = vectors.iter().map(|vector| vector.iter().copied().map(number).collect()).collect();
        Ok(json!({"embeddings": vectors, "cosine_similarity": cosines}))
    }

    /// The vectors of texts, and an answer without a result.
    pub(crate) async fn embed(&self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, TaskAnswer), Error> {
        let encoded: Vec<Encoded> = texts.iter().map(|text| self.encode(text)).collect::<Result<_, _>>()?;
        let (states, answer) = hidden_states(&self.model, encoded).await?;
        let skip = self.prompt.as_ref().map_or(0, |(_, length)| *length);
        let vector = |states| {
            let pooled = self.pooling.pool(states, skip);
            let mut vector = self.after.iter().try_fold(pooled, |vector, module| module.apply(vector))?;
            vector.truncate(self.dimensions);
            if self.normalize {
                normalize(&mut vector);
            }
            check_finite(&vector)?;
            Ok(vector)
        };
        Ok((states.iter().map(vector).collect::<Result<_, Error>>()?, answer))
    }

    fn encode(&self, text: &str) -> Result<Encoded, Error> {
        let text = match &self.prompt {
            Some((prompt, _)) => self.reading.prepare(&format!("{prompt}{text}")),
            None => self.reading.prepare(text),
        };
        self.limit.encode(&self.model.model, &text, None)
    }
}

/// The tokens of a prompt in front of a text: those of the prompt alone, without a special token at its end.
fn prompt_length(model: &LoadedModel, limit: Limit, prompt: &str) -> Result<usize, Error> {
    let encoding = model.model.tokenizer.encode_first(Text::Whole(prompt), None, &EncodeOptions::default())?;
    let ends = encoding.special.last().is_some_and(|special| *special);
    Ok(encoding.len().min(limit.tokens) - usize::from(ends))
}

fn mode(asked: Asked) -> Mode {
    match asked {
        Asked::Mean => Mode::Mean,
        Asked::Cls => Mode::Cls,
        Asked::Max => Mode::Max,
        Asked::LastToken => Mode::LastToken,
    }
}
