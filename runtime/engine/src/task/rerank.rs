//! `rerank`: orders documents by how well they answer a query, with a cross-encoder, which reads both together.

use std::sync::Arc;

use runtime_models::ModelFolder;
use runtime_tasks::{Function, Rerank as Options, TaskKind, TopK};
use serde_json::{Value, json};

use super::encode::{Encoded, Limit};
use super::scores::{apply, check_finite, descending, number};
use super::{Fields, TaskAnswer, head};
use crate::registry::{LoadOptions, LoadedModel};
use crate::scheduler::Answers;
use crate::sentence::{Modules, SentenceError, Settings, TransformerSettings, activation_name};
use crate::{Error, Registry};

/// Orders documents for a query.
pub struct Rerank {
    model: Arc<LoadedModel>,
    limit: Limit,
    reading: TransformerSettings,
    function: Function,
    top_k: TopK,
}

impl Rerank {
    /// Loads the cross-encoder of a folder.
    ///
    /// # Errors
    /// Where it cannot be loaded, scores several labels, or names an activation that is not supported.
    pub fn load(
        registry: &Registry,
        folder: &ModelFolder,
        how: LoadOptions<'_>,
        options: &Options,
        truncate: bool,
    ) -> Result<Self, Error> {
        let (transformer, other) = Modules::first_two(folder)?;
        let reading = TransformerSettings::read(&transformer)?;
        let model = head::load(registry, &transformer, how, TaskKind::Rerank)?;
        if let Some(other) = other {
            return Err(other.into());
        }
        let labels = model.model.width;
        if labels != 1 {
            return Err(SentenceError::Labels { labels }.into());
        }
        let function = match options.function_to_apply {
            Some(function) => function,
            None => default_function(folder, &transformer)?,
        };
        let limit = Limit::with(&model.model, reading.max_seq_length, truncate);
        Ok(Self { model, limit, reading, function, top_k: options.top_k })
    }

    /// Orders `documents` for `query`: a list of `{corpus_id, score, text}`, the best first, as `CrossEncoder.rank` of
    /// sentence-transformers has it.
    ///
    /// # Errors
    /// Where a field is missing or wrong, a text is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let (query, documents) = (self.reading.prepare(input.text("query")?), input.texts("documents")?);
        let model = &self.model.model;
        let pieces = model.tokenizer.pieces(&query, usize::MAX)?;
        let encode = |document: &&str| self.limit.encode_pair(model, &query, &pieces, &self.reading.prepare(document));
        let encoded: Vec<Encoded> = documents.iter().map(encode).collect::<Result<_, _>>()?;
        let truncated = encoded.iter().filter(|encoded| encoded.truncated).count();
        let tokens = encoded.iter().map(|encoded| encoded.sequence.token_ids.len()).sum();
        let sequences = encoded.into_iter().map(|encoded| encoded.sequence).collect();
        let Answers { rows, time } = self.model.scheduler.run(sequences).await?;
        let logits: Vec<f32> = rows.into_iter().flat_map(|row| row.data).collect();
        check_finite(&logits)?;
        let scores = apply(self.function, &logits);
        let mut order = descending(&scores);
        if let TopK::Best(count) = self.top_k {
            order.truncate(count);
        }
        let ranked =
            |index: usize| json!({"corpus_id": index, "score": number(scores[index]), "text": documents[index]});
        Ok(TaskAnswer { result: order.into_iter().map(ranked).collect::<Value>(), time, tokens, truncated })
    }
}

/// What the folder names, in a new form or an old one; else sigmoid, as for every model of one label.
fn default_function(folder: &ModelFolder, transformer: &ModelFolder) -> Result<Function, Error> {
    let config = transformer.config()?.fields;
    let places = [
        (folder.file("config_sentence_transformers.json"), "activation_fn", Settings::read(folder)?.activation),
        (
            transformer.file("config.json"),
            "sentence_transformers.activation_fn",
            config
                .get("sentence_transformers")
                .and_then(|settings| settings["activation_fn"].as_str())
                .map(str::to_owned),
        ),
        (
            transformer.file("config.json"),
            "sbert_ce_default_activation_function",
            config.get("sbert_ce_default_activation_function").and_then(Value::as_str).map(str::to_owned),
        ),
    ];
    let named = places.into_iter().find_map(|(path, field, class)| Some((path, field, class?)));
    let Some((path, field, class)) = named else { return Ok(Function::Sigmoid) };
    match activation_name(&class) {
        Some("Sigmoid") => Ok(Function::Sigmoid),
        Some("Identity") => Ok(Function::None),
        _ => Err(SentenceError::Field {
            path,
            field: field.to_owned(),
            found: format!("`{class}`"),
            expected: "Sigmoid or Identity of torch".to_owned(),
        }
        .into()),
    }
}
