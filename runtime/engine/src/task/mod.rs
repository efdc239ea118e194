//! Tasks over a loaded model: an input of named fields goes in, a JSON result in the form of the Hugging Face pipeline
//! comes out. One file for each task; [`Task`] is any of them.

pub(crate) mod encode;
mod feature_extraction;
mod fields;
mod fill_mask;
pub(crate) mod head;
mod points;
mod question_answering;
mod rerank;
pub(crate) mod scores;
mod sentence_embedding;
mod similarity;
mod text_classification;
pub(crate) mod text_generation;
mod text_to_text;
mod token_classification;
mod zero_shot;

use std::time::Duration;

use runtime_models::ModelFolder;
use runtime_tasks::{TaskKind, TaskOptions};
use serde_json::{Value, json};

pub use feature_extraction::FeatureExtraction;
pub use fields::Fields;
pub use fill_mask::FillMask;
pub use question_answering::QuestionAnswering;
pub use rerank::Rerank;
pub use sentence_embedding::SentenceEmbedding;
pub use similarity::Similarity;
pub use text_classification::TextClassification;
pub use text_generation::TextGeneration;
pub use text_to_text::TextToText;
pub use token_classification::TokenClassification;
pub use zero_shot::ZeroShotClassification;

use crate::{Error, LanguageModel, LoadOptions, Registry};

/// What a task says of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskAnswer {
    /// In the form of the Hugging Face pipeline.
    pub result: Value,
    /// The time that the model spent on it.
    pub time: Duration,
    /// The tokens that it read.
    pub tokens: usize,
    /// Texts that were cut off, being longer than the model takes.
    pub truncated: usize,
}

/// A task over a loaded model, with its parameters.
pub struct Task(Does);

enum Does {
    TextClassification(TextClassification),
    ZeroShotClassification(ZeroShotClassification),
    TokenClassification(TokenClassification),
    QuestionAnswering(QuestionAnswering),
    FillMask(FillMask),
    FeatureExtraction(FeatureExtraction),
    SentenceEmbedding(SentenceEmbedding),
    Similarity(Similarity),
    Rerank(Rerank),
    TextGeneration(TextGeneration),
    TextToText(TextToText),
}

impl Task {
    /// Loads the model of a folder for a task. With `truncate`, a text that is longer than the model takes is cut off;
    /// without, it is an error.
    ///
    /// # Errors
    /// Where the model cannot be loaded, does not have the head that the task needs, or does not fit the parameters.
    pub fn load<'a>(
        registry: &Registry,
        folder: &ModelFolder,
        how: impl Into<LoadOptions<'a>>,
        options: &TaskOptions,
        truncate: bool,
    ) -> Result<Self, Error> {
        let how = how.into();
        let load = |kind: TaskKind| head::load(registry, folder, how, kind);
        Ok(Self(match options {
            TaskOptions::TextClassification(options) => {
                let model = load(TaskKind::TextClassification)?;
                Does::TextClassification(TextClassification::new(model, options, truncate)?)
            }
            TaskOptions::ZeroShot(options) => {
                let model = load(TaskKind::ZeroShotClassification)?;
                Does::ZeroShotClassification(ZeroShotClassification::new(model, options, truncate)?)
            }
            TaskOptions::TokenClassification(options) => {
                let model = load(TaskKind::TokenClassification)?;
                Does::TokenClassification(TokenClassification::new(model, options, truncate)?)
            }
            TaskOptions::QuestionAnswering(options) => {
                let model = load(TaskKind::QuestionAnswering)?;
                Does::QuestionAnswering(QuestionAnswering::new(model, options)?)
            }
            TaskOptions::FillMask(options) => {
                let model = load(TaskKind::FillMask)?;
                Does::FillMask(FillMask::new(model, options, truncate)?)
            }
            TaskOptions::FeatureExtraction => {
                let model = load(TaskKind::FeatureExtraction)?;
                Does::FeatureExtraction(FeatureExtraction::new(model, truncate)?)
            }
            TaskOptions::Embedding(TaskKind::Similarity, options) => {
                Does::Similarity(Similarity::load(registry, folder, how, options, truncate)?)
            }
            TaskOptions::Embedding(kind, options) => {
                let options = (*kind, options);
                Does::SentenceEmbedding(SentenceEmbedding::load(registry, folder, how, options, truncate)?)
            }
            TaskOptions::Rerank(options) => Does::Rerank(Rerank::load(registry, folder, how, options, truncate)?),
            TaskOptions::Generation(options) => {
                let model = LanguageModel::of(load(TaskKind::TextGeneration)?, folder)?;
                Does::TextGeneration(TextGeneration::new(model, options)?)
            }
            TaskOptions::Summarization(options) => {
                let model = LanguageModel::of(load(TaskKind::Summarization)?, folder)?;
                Does::TextToText(TextToText::summarization(model, folder, options, truncate)?)
            }
            TaskOptions::Translation(options) => {
                let model = LanguageModel::of(load(TaskKind::Translation)?, folder)?;
                Does::TextToText(TextToText::translation(model, folder, options, truncate)?)
            }
        }))
    }

    /// What recorded cases hold of an input: the result, and what it comes from.
    ///
    /// # Errors
    /// As [`Task::run`].
    pub(crate) async fn recorded(&self, input: Fields<'_>) -> Result<Value, Error> {
        match &self.0 {
            Does::TextClassification(task) => {
                let (logits, _) = task.logits(input).await?;
                let written: Value = logits.iter().copied().map(scores::number).collect();
                Ok(json!({"result": task.result(&logits), "logits": written}))
            }
            Does::ZeroShotClassification(task) => {
                Ok(json!({"result": task.run(input).await?.result, "entailment_id": task.entailment()}))
            }
            Does::SentenceEmbedding(task) => task.recorded(input).await,
            Does::TextGeneration(task) => task.recorded(input).await,
            _ => Ok(json!({"result": self.run(input).await?.result})),
        }
    }

    /// What the task says of an input.
    ///
    /// # Errors
    /// Where the input lacks a field or has a wrong one, a text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        match &self.0 {
            Does::TextClassification(task) => task.run(input).await,
            Does::ZeroShotClassification(task) => task.run(input).await,
            Does::TokenClassification(task) => task.run(input).await,
            Does::QuestionAnswering(task) => task.run(input).await,
            Does::FillMask(task) => task.run(input).await,
            Does::FeatureExtraction(task) => task.run(input).await,
            Does::SentenceEmbedding(task) => task.run(input).await,
            Does::Similarity(task) => task.run(input).await,
            Does::Rerank(task) => task.run(input).await,
            Does::TextGeneration(task) => task.run(input).await,
            Does::TextToText(task) => task.run(input).await,
        }
    }
}
