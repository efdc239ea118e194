//! Tasks over a loaded model: an input of named fields goes in, a JSON result in the form of the Hugging Face pipeline
//! comes out. One file for each task; [`Task`] is any of them.

mod encode;
mod feature_extraction;
mod fields;
mod fill_mask;
mod head;
mod points;
mod question_answering;
pub(crate) mod scores;
mod text_classification;
mod token_classification;
mod zero_shot;

use std::path::Path;
use std::time::Duration;

use runtime_models::ModelFolder;
use runtime_tasks::{TaskKind, TaskOptions};
use serde_json::Value;

pub use feature_extraction::FeatureExtraction;
pub use fields::Fields;
pub use fill_mask::FillMask;
pub use question_answering::QuestionAnswering;
pub use text_classification::TextClassification;
pub use token_classification::TokenClassification;
pub use zero_shot::ZeroShotClassification;

use crate::{Error, Registry};

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
}

impl Task {
    /// Loads the model of a folder for a task. With `truncate`, a text that is longer than the model takes is cut off;
    /// without, it is an error.
    ///
    /// # Errors
    /// Where the model cannot be loaded, does not have the head that the task needs, or does not fit the parameters.
    pub fn load(
        registry: &Registry,
        folder: &ModelFolder,
        plugin: Option<&Path>,
        options: &TaskOptions,
        truncate: bool,
    ) -> Result<Self, Error> {
        let load = |kind: TaskKind| head::load(registry, folder, plugin, kind);
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
            _ => todo!(),
        }))
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
        }
    }
}
