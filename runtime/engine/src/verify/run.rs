//! Runs the cases, model by model.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use runtime_chat::ChatTemplate;
use runtime_diagnostics::chain;
use runtime_graph::Head;
use runtime_models::{ModelFolder, Tokenizer, detokenize_call, tokenize_call};
use runtime_tasks::{TaskKind, TaskOptions};
use serde_json::{Map, Value};

use super::case::{Body, Case};
use super::causal::{causal_lm_logits, perplexity};
use super::chat::{chat_template, rendered};
use super::compare::compare;
use super::generate::{generate, next_token_distribution};
use super::hidden_states::hidden_states;
use super::logits_process::logits_process;
use super::seq2seq::seq2seq_logits;
use super::set::CaseSet;
use crate::registry::LoadedModel;
use crate::task::head;
use crate::{Error, Fields, LanguageModel, LoadOptions, Registry, Task};

/// How a case went.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The case.
    pub id: &'a str,
    /// What is not as it was recorded, in a sentence; `None` where all is.
    pub failure: Option<String>,
}

impl CaseSet {
    /// Runs every case, telling how it went as soon as it is known. A model is dropped before the next is loaded.
    pub fn run(&self, registry: &Registry, mut told: impl FnMut(Outcome<'_>)) {
        let same = |a: &Case, b: &Case| a.model == b.model;
        for cases in self.cases.chunk_by(same) {
            let place = cases.first().and_then(|case| case.model.as_deref());
            let folder = place.map(|place| ModelFolder::new(self.folder.join(place)));
            let mut subject = Subject::new(registry, &self.folder, folder);
            for case in cases {
                let failure = subject.check(case).err();
                told(Outcome { id: &case.id, failure });
            }
        }
    }
}

/// A model's folder, with what has been loaded of it.
struct Subject<'a> {
    registry: &'a Registry,
    /// Where the cases are.
    cases: &'a Path,
    folder: Option<ModelFolder>,
    base: Option<Arc<LoadedModel>>,
    /// By their heads and adapters.
    language: HashMap<(Head, String), LanguageModel>,
    tokenizer: Option<Tokenizer>,
    template: Option<ChatTemplate>,
    /// By task and parameters. They hold the models, which the registry does not.
    tasks: HashMap<(TaskKind, String), Task>,
}

/// Where a case fails.
enum Stage {
    /// The model cannot be had, so that nothing can be said of the case.
    Loading(Error),
    /// The call fails, as it may be meant to.
    Call(Error),
}

impl<'a> Subject<'a> {
    fn new(registry: &'a Registry, cases: &'a Path, folder: Option<ModelFolder>) -> Self {
        let (language, tasks) = (HashMap::new(), HashMap::new());
        Self { registry, cases, folder, base: None, language, tokenizer: None, template: None, tasks }
    }

    /// # Errors
    /// What is not as it was recorded, in a sentence.
    fn check(&mut self, case: &Case) -> Result<(), String> {
        let body = case.read()?;
        if case.task == "logits-process" {
            let found = logits_process(&body.params, &body.input)?;
            return judge(&body, found.map_err(|error| chain(&error)));
        }
        let folder = self.folder.clone().filter(|_| is_known(&case.task));
        let Some(folder) = folder else {
            return Err(format!("this version cannot run the task `{}`", case.task));
        };
        if !folder.path().exists() {
            return Err(format!("there is no model in `{}`", folder.path().display()));
        }
        match self.call(&folder, &case.task, &body) {
            Err(Stage::Loading(error)) => Err(chain(&error)),
            Err(Stage::Call(error)) => judge(&body, Err(chain(&error))),
            Ok(found) => judge(&body, Ok(found)),
        }
    }

    fn call(&mut self, folder: &ModelFolder, task: &str, body: &Body) -> Result<Value, Stage> {
        match task {
            "tokenize" => {
                let tokenizer = self.tokenizer(folder).map_err(Stage::Loading)?;
                tokenize_call(tokenizer, &body.params, &body.input).map_err(|error| Stage::Call(error.into()))
            }
            "detokenize" => {
                let tokenizer = self.tokenizer(folder).map_err(Stage::Loading)?;
                detokenize_call(tokenizer, &body.params, &body.input).map_err(|error| Stage::Call(error.into()))
            }
            "chat-template" => {
                let template = match self.template.take() {
                    Some(template) => template,
                    None => chat_template(folder).map_err(Stage::Loading)?,
                };
                let tokenizer = self.tokenizer(folder).map_err(Stage::Loading)?;
                let found = rendered(&template, tokenizer, &body.params, &body.input);
                self.template = Some(template);
                found.map_err(Stage::Call)
            }
            "hidden-states" => {
                let model = self.base(folder).map_err(Stage::Loading)?;
                block_on(hidden_states(&model, Fields::new(&body.input))).map_err(Stage::Call)
            }
            "causal-lm-logits" | "lora-logits" => {
                let model = self.causal(folder, body).map_err(Stage::Loading)?;
                block_on(causal_lm_logits(model.loaded(), Fields::new(&body.input))).map_err(Stage::Call)
            }
            "seq2seq-logits" => {
                let model = self.seq2seq(folder, body).map_err(Stage::Loading)?;
                let base = self.base(folder).map_err(Stage::Loading)?;
                let config = folder.config().map_err(|error| Stage::Loading(error.into()))?;
                block_on(seq2seq_logits(model.loaded(), &base, &config, Fields::new(&body.input))).map_err(Stage::Call)
            }
            "perplexity" => {
                let model = self.causal(folder, body).map_err(Stage::Loading)?;
                block_on(perplexity(model.loaded(), &body.params, Fields::new(&body.input))).map_err(Stage::Call)
            }
            "generate" | "seq2seq-generate" => {
                let head = if task == "generate" { Head::CausalLm } else { Head::Seq2SeqLm };
                let model = self.language(folder, body, head).map_err(Stage::Loading)?;
                block_on(generate(&model, &body.params, Fields::new(&body.input))).map_err(Stage::Call)
            }
            "next-token-distribution" => {
                let model = self.causal(folder, body).map_err(Stage::Loading)?;
                block_on(next_token_distribution(&model, &body.params, Fields::new(&body.input))).map_err(Stage::Call)
            }
            _ => self.task(folder, task, body),
        }
    }

    fn task(&mut self, folder: &ModelFolder, task: &str, body: &Body) -> Result<Value, Stage> {
        let kind = TaskKind::named(task).unwrap_or(TaskKind::FeatureExtraction);
        let params = params(kind, &body.params);
        let key = (kind, Value::Object(params.clone()).to_string());
        if !self.tasks.contains_key(&key) {
            let options = TaskOptions::read(kind, &params).map_err(|error| Stage::Call(error.into()))?;
            let loaded = Task::load(self.registry, folder, None, &options, true);
            let task = loaded.map_err(|error| self.stage(folder, kind, error))?;
            self.tasks.insert(key.clone(), task);
        }
        let task = &self.tasks[&key];
        block_on(task.recorded(Fields::new(&body.input))).map_err(Stage::Call)
    }

    /// Whether an error is of the model, or of what is asked of it.
    fn stage(&self, folder: &ModelFolder, kind: TaskKind, error: Error) -> Stage {
        match head::load(self.registry, folder, LoadOptions::default(), kind) {
            Ok(_) | Err(Error::OtherTask { .. }) => Stage::Call(error),
            Err(_) => Stage::Loading(error),
        }
    }

    fn base(&mut self, folder: &ModelFolder) -> Result<Arc<LoadedModel>, Error> {
        let base = match &self.base {
            Some(base) => Arc::clone(base),
            None => self.registry.load(folder, None, Head::Base)?,
        };
        self.base = Some(Arc::clone(&base));
        Ok(base)
    }

    fn causal(&mut self, folder: &ModelFolder, body: &Body) -> Result<LanguageModel, Error> {
        self.language(folder, body, Head::CausalLm)
    }

    fn seq2seq(&mut self, folder: &ModelFolder, body: &Body) -> Result<LanguageModel, Error> {
        self.language(folder, body, Head::Seq2SeqLm)
    }

    fn language(&mut self, folder: &ModelFolder, body: &Body, head: Head) -> Result<LanguageModel, Error> {
        let adapter = body.params.get("adapter").and_then(Value::as_str).unwrap_or_default();
        let key = (head, adapter.to_owned());
        if let Some(known) = self.language.get(&key) {
            return Ok(known.clone());
        }
        let path = Some(self.cases.join(adapter)).filter(|_| !adapter.is_empty());
        let how = LoadOptions { adapter: path.as_deref(), ..LoadOptions::default() };
        let model = LanguageModel::with_head(self.registry, folder, how, head)?;
        self.language.insert(key, model.clone());
        Ok(model)
    }

    fn tokenizer(&mut self, folder: &ModelFolder) -> Result<&Tokenizer, Error> {
        let tokenizer = match self.tokenizer.take() {
            Some(tokenizer) => tokenizer,
            None => folder.tokenizer()?,
        };
        Ok(self.tokenizer.insert(tokenizer))
    }
}

/// Says what is not as recorded of a call's result, or of why it fails.
fn judge(body: &Body, found: Result<Value, String>) -> Result<(), String> {
    match (found, body.expects_failure()) {
        (Err(error), false) => Err(error),
        (Err(_), true) => Ok(()),
        (Ok(_), true) => Err(format!("it is answered, and was recorded to fail: {}", body.expected["error"])),
        (Ok(found), false) => compare(&body.expected, &found, body.tolerance),
    }
}

/// Whether cases of a task with a model can be run.
fn is_known(task: &str) -> bool {
    const OWN: [&str; 11] = [
        "tokenize",
        "detokenize",
        "chat-template",
        "hidden-states",
        "causal-lm-logits",
        "lora-logits",
        "seq2seq-logits",
        "seq2seq-generate",
        "perplexity",
        "generate",
        "next-token-distribution",
    ];
    OWN.contains(&task) || TaskKind::named(task).is_some()
}

/// The parameters as the task reads them.
fn params(kind: TaskKind, recorded: &Map<String, Value>) -> Map<String, Value> {
    let mut params = recorded.clone();
    if matches!(kind, TaskKind::SentenceEmbedding | TaskKind::Similarity) {
        // Cases say it where the folder's files are to be followed.
        params.entry("sentence_transformers").or_insert(Value::Bool(false));
    }
    if kind == TaskKind::TextGeneration {
        // Cases are recorded without sampling, whatever the folder says.
        params.entry("do_sample").or_insert(Value::Bool(false));
    }
    params
}
