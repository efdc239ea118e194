//! What a step may call while it has a record.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::try_join_all;
use runtime_plugin_host::{
    Answer, Completion, CompletionStream, Failure, Fields, Level, Prompt, StepHost, TextHost, Token, Vocabulary,
};
use runtime_tasks::TaskKind;
use serde_json::{Map, Value};

use super::texts::Texts;
use super::writing::{self, Budget, Pieces, failure};
use crate::{LanguageModel, Task};

/// A model that is granted, for the task that the step describes.
pub(crate) enum Asked {
    Task {
        kind: TaskKind,
        task: Box<Task>,
        /// Fields of its input that are the same for all.
        fixed: Fields,
    },
    Writer(Box<LanguageModel>),
}

/// All that a plugin is granted.
pub(crate) struct Resources {
    pub(crate) texts: Texts,
    pub(crate) models: HashMap<String, Asked>,
    pub(crate) generated_tokens: usize,
}

/// The same during one record.
pub(super) struct RecordHost {
    resources: Arc<Resources>,
    budget: Budget,
}

impl RecordHost {
    pub(super) fn new(resources: &Arc<Resources>) -> Self {
        Self { resources: Arc::clone(resources), budget: Budget::new(resources.generated_tokens) }
    }

    fn model(&self, name: &str) -> Result<&Asked, Failure> {
        let missing = || {
            let said = format!("the model `{name}` is not granted: `models = {{ {name} = \"MODEL\" }}` would");
            Failure::NotGranted(said)
        };
        self.resources.models.get(name).ok_or_else(missing)
    }

    fn writer(&self, name: &str) -> Result<&LanguageModel, Failure> {
        match self.model(name)? {
            Asked::Writer(model) => Ok(model),
            Asked::Task { kind, .. } => {
                Err(Failure::Wrong(format!("the model `{name}` does {kind}, as the step says")))
            }
        }
    }

    /// The result of a task, if it is one of `kinds`.
    async fn task(&self, name: &str, kinds: &[TaskKind], input: Fields) -> Result<(TaskKind, Value), Failure> {
        let Asked::Task { kind, task, fixed } = self.model(name)? else {
            return Err(Failure::Wrong(format!("the model `{name}` generates, as the step says")));
        };
        if !kinds.is_empty() && !kinds.contains(kind) {
            return Err(Failure::Wrong(format!("the model `{name}` does {kind}, as the step says")));
        }
        let mut fields = fixed.clone();
        fields.extend(input);
        let answer = task.run(crate::Fields::new(&fields)).await;
        Ok((*kind, answer.map_err(|error| failure(&error))?.result))
    }

    async fn scores(&self, model: &str, text: String, pair: Option<String>) -> Result<Vec<(String, f32)>, Failure> {
        let kinds = [TaskKind::TextClassification, TaskKind::ZeroShotClassification];
        let mut input = Map::from_iter([("text".to_owned(), Value::from(text))]);
        input.extend(pair.map(|pair| ("text_pair".to_owned(), Value::from(pair))));
        let (kind, result) = self.task(model, &kinds, input).await?;
        let unlike = || Failure::Failed(format!("{kind} gave no scores"));
        let score = |value: &Value| value.as_f64().map(single);
        let scores: Option<Vec<(String, f32)>> = match kind {
            TaskKind::ZeroShotClassification => {
                let (labels, scores) = (result["labels"].as_array(), result["scores"].as_array());
                let pairs = labels.into_iter().flatten().zip(scores.into_iter().flatten());
                pairs.map(|(label, value)| Some((label.as_str()?.to_owned(), score(value)?))).collect()
            }
            _ => {
                let items = result.as_array().into_iter().flatten();
                items.map(|item| Some((item["label"].as_str()?.to_owned(), score(&item["score"])?))).collect()
            }
        };
        scores.filter(|scores| !scores.is_empty()).ok_or_else(unlike)
    }

    async fn vectors(&self, model: &str, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Failure> {
        try_join_all(texts.into_iter().map(|text| self.vector(model, text))).await
    }

    async fn vector(&self, model: &str, text: String) -> Result<Vec<f32>, Failure> {
        let input = Map::from_iter([("text".to_owned(), Value::from(text))]);
        let (_, result) = self.task(model, &[TaskKind::SentenceEmbedding], input).await?;
        let numbers = result.as_array().into_iter().flatten().map(|number| number.as_f64().map(single));
        numbers.collect::<Option<Vec<f32>>>().ok_or_else(|| Failure::Failed("the vector has no numbers".to_owned()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "models compute in single precision")]
fn single(number: f64) -> f32 {
    number as f32
}

impl TextHost for RecordHost {
    fn encode(&self, tokenizer: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure> {
        self.resources.texts.encode(tokenizer, text, special)
    }

    fn decode(&self, tokenizer: &str, ids: &[u32], skip_special: bool) -> Result<String, Failure> {
        self.resources.texts.decode(tokenizer, ids, skip_special)
    }

    fn token_id(&self, tokenizer: &str, token: &str) -> Result<Option<u32>, Failure> {
        self.resources.texts.token_id(tokenizer, token)
    }

    fn vocabulary(&self, tokenizer: &str) -> Result<Vocabulary, Failure> {
        self.resources.texts.vocabulary(tokenizer)
    }

    fn log(&self, level: Level, message: &str) {
        self.resources.texts.log(level, message);
    }
}

impl StepHost for RecordHost {
    fn classify<'a>(&'a self, model: &'a str, text: String, pair: Option<String>) -> Answer<'a, Vec<(String, f32)>> {
        Box::pin(self.scores(model, text, pair))
    }

    fn embed<'a>(&'a self, model: &'a str, texts: Vec<String>) -> Answer<'a, Vec<Vec<f32>>> {
        Box::pin(self.vectors(model, texts))
    }

    fn run<'a>(&'a self, model: &'a str, input: Fields) -> Answer<'a, String> {
        Box::pin(async move { Ok(self.task(model, &[], input).await?.1.to_string()) })
    }

    fn complete<'a>(&'a self, model: &'a str, prompt: Prompt, parameters: Fields) -> Answer<'a, Vec<Completion>> {
        Box::pin(async move { writing::complete(self.writer(model)?, prompt, parameters, &self.budget).await })
    }

    fn stream<'a>(
        &'a self,
        model: &'a str,
        prompt: Prompt,
        parameters: Fields,
    ) -> Answer<'a, Box<dyn CompletionStream>> {
        Box::pin(async move {
            let pieces = Pieces::start(self.writer(model)?, prompt, &parameters, &self.budget)?;
            Ok(Box::new(pieces) as Box<dyn CompletionStream>)
        })
    }

    fn score<'a>(&'a self, model: &'a str, prompt: Prompt, continuations: Vec<String>) -> Answer<'a, Vec<f64>> {
        Box::pin(async move { writing::score(self.writer(model)?, prompt, continuations).await })
    }
}
