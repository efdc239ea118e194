//! The world `step` over a [`StepHost`].

use std::pin::Pin;
use std::time::Instant;

use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Result, Store};

use crate::host::{Completion, Failure, Prompt, Role, StepHost};
use crate::records::Fields;
use crate::state::Serving;
use crate::step_description::{ModelNeed, StepDescription, TokenizerNeed};

use super::shared;

#[expect(unreachable_pub, reason = "generated")]
pub(super) mod bindings {
    /// A text that is being generated, for the guest.
    pub struct Stream(pub Box<dyn crate::host::CompletionStream>);

    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "step",
        with: { "inference:runtime/generate.completion-stream": crate::v0_1::step::bindings::Stream },
        imports: {
            "inference:runtime/model": async | trappable,
            "inference:runtime/generate.[method]completion-stream.next": async | trappable,
            "inference:runtime/generate.complete": async | trappable,
            "inference:runtime/generate.stream": async | trappable,
            "inference:runtime/generate.score": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

use bindings::exports::inference::runtime::step_processing as exported;
use bindings::inference::runtime::{generate, model, records};
use bindings::{Step, StepPre, Stream};

/// A future whose type is short: those of wasmtime are beyond what the compiler can prove to be `Send`.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Texts that a step can have generated at once.
const STREAMS: usize = 64;

/// The data of a step's store.
pub(crate) type State = Serving<dyn StepHost, ResourceTable>;

/// What a store begins with.
pub(crate) fn own() -> ResourceTable {
    let mut streams = ResourceTable::new();
    streams.set_max_capacity(STREAMS);
    streams
}

/// Gives `linker` all that the world imports.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    Step::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// A component that fits the world.
pub(crate) struct Interface(StepPre<State>);

impl Interface {
    pub(crate) fn new(linker: &Linker<State>, component: &Component) -> Result<Self> {
        Ok(Self(StepPre::new(linker.instantiate_pre(component)?)?))
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<State>) -> Result<Instance> {
        let instantiated: BoxFuture<'_, _> = Box::pin(self.0.instantiate_async(store));
        Ok(Instance(instantiated.await?))
    }
}

/// A component in a store.
pub(crate) struct Instance(Step);

impl Instance {
    /// What the step says of itself, or why that is nothing.
    pub(crate) async fn describe(&self, store: &mut Store<State>) -> Result<Said<StepDescription>> {
        Ok(described(self.0.inference_runtime_step_processing().call_describe(store).await?))
    }

    pub(crate) async fn start(&self, store: &mut Store<State>, parameters: Fields) -> Result<Said<()>> {
        let parameters = shared::to_plugin(parameters);
        let called: BoxFuture<'_, _> =
            Box::pin(self.0.inference_runtime_step_processing().call_start(store, &parameters));
        called.await
    }

    pub(crate) async fn process(&self, store: &mut Store<State>, record: Fields) -> Result<Processed> {
        let record = shared::to_plugin(record);
        let called: BoxFuture<'_, _> =
            Box::pin(self.0.inference_runtime_step_processing().call_process(store, &record));
        Ok(match called.await? {
            Ok(outputs) => shared::from_plugin(outputs).map_or_else(Processed::Wrong, Processed::Outputs),
            Err(reason) => Processed::Refused(reason),
        })
    }
}

/// A value, or why there is none.
type Said<T> = std::result::Result<T, String>;

/// What a step makes of a record.
pub(crate) enum Processed {
    Outputs(Fields),
    /// It has none, and says why.
    Refused(String),
    /// They are no JSON.
    Wrong(String),
}

/// What a call of the host answers: a trap, or a value, or a failure that the guest is told.
type Answered<T> = Result<std::result::Result<T, records::Failure>>;

impl State {
    /// Waits for the host on the guest's behalf.
    async fn wait<T>(
        &mut self,
        since: Instant,
        answer: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> Answered<T> {
        let answer = answer.await;
        self.meter.waited(since);
        Ok(answer.map_err(records::Failure::from))
    }
}

impl model::Host for State {
    async fn classify(&mut self, model: String, text: String, pair: Option<String>) -> Answered<Vec<model::Score>> {
        let (since, host) = (Instant::now(), self.host()?);
        let scores = self.wait(since, host.classify(&model, text, pair)).await?;
        let score = |(label, score)| model::Score { label, score };
        Ok(scores.map(|scores| scores.into_iter().map(score).collect()))
    }

    async fn embed(&mut self, model: String, texts: Vec<String>) -> Answered<Vec<Vec<f32>>> {
        let (since, host) = (Instant::now(), self.host()?);
        self.wait(since, host.embed(&model, texts)).await
    }

    async fn run(&mut self, model: String, input: Vec<records::Field>) -> Answered<String> {
        let (since, host) = (Instant::now(), self.host()?);
        match shared::from_plugin(input) {
            Ok(input) => self.wait(since, host.run(&model, input)).await,
            Err(reason) => Ok(Err(records::Failure::Wrong(reason))),
        }
    }
}

impl generate::Host for State {
    async fn complete(
        &mut self,
        model: String,
        prompt: generate::Prompt,
        parameters: Vec<records::Field>,
    ) -> Answered<Vec<generate::Completion>> {
        let (since, host) = (Instant::now(), self.host()?);
        let parameters = match shared::from_plugin(parameters) {
            Ok(parameters) => parameters,
            Err(reason) => return Ok(Err(records::Failure::Wrong(reason))),
        };
        let completions = self.wait(since, host.complete(&model, prompt.into(), parameters)).await?;
        Ok(completions.map(|completions| completions.into_iter().map(Into::into).collect()))
    }

    async fn stream(
        &mut self,
        model: String,
        prompt: generate::Prompt,
        parameters: Vec<records::Field>,
    ) -> Answered<Resource<Stream>> {
        let (since, host) = (Instant::now(), self.host()?);
        let parameters = match shared::from_plugin(parameters) {
            Ok(parameters) => parameters,
            Err(reason) => return Ok(Err(records::Failure::Wrong(reason))),
        };
        Ok(match self.wait(since, host.stream(&model, prompt.into(), parameters)).await? {
            Ok(stream) => Ok(self.own.push(Stream(stream))?),
            Err(failure) => Err(failure),
        })
    }

    async fn score(
        &mut self,
        model: String,
        prompt: generate::Prompt,
        continuations: Vec<String>,
    ) -> Answered<Vec<f64>> {
        let (since, host) = (Instant::now(), self.host()?);
        self.wait(since, host.score(&model, prompt.into(), continuations)).await
    }
}

impl generate::HostCompletionStream for State {
    async fn next(&mut self, stream: Resource<Stream>) -> Answered<Option<String>> {
        let since = Instant::now();
        let piece = self.own.get_mut(&stream)?.0.next().await;
        self.meter.waited(since);
        Ok(piece.map_err(records::Failure::from))
    }

    fn drop(&mut self, stream: Resource<Stream>) -> Result<()> {
        self.own.delete(stream)?;
        Ok(())
    }
}

impl From<generate::Prompt> for Prompt {
    fn from(prompt: generate::Prompt) -> Self {
        let role = |role| match role {
            generate::Role::System => Role::System,
            generate::Role::User => Role::User,
            generate::Role::Assistant => Role::Assistant,
        };
        match prompt {
            generate::Prompt::Text(text) => Self::Text(text),
            generate::Prompt::Chat(messages) => {
                Self::Chat(messages.into_iter().map(|message| (role(message.role), message.content)).collect())
            }
        }
    }
}

impl From<Completion> for generate::Completion {
    fn from(Completion { text, tokens, cut_off, log_probability }: Completion) -> Self {
        let finish_reason = if cut_off { generate::FinishReason::Length } else { generate::FinishReason::Stop };
        Self { text, tokens, finish_reason, log_probability }
    }
}

fn described(description: exported::Description) -> Said<StepDescription> {
    let exported::Description { name, version, summary, inputs, outputs, parameters, models, tokenizers } = description;
    let need = |need: exported::ModelNeed| {
        Ok(ModelNeed {
            name: need.name,
            task: task(need.task),
            parameters: shared::from_plugin(need.parameters)?,
            required: need.required,
        })
    };
    Ok(StepDescription {
        name,
        version,
        summary,
        inputs: shared::slots(inputs),
        outputs: shared::slots(outputs),
        parameters: shared::slots(parameters),
        models: models.into_iter().map(need).collect::<Said<_>>()?,
        tokenizers: tokenizers
            .into_iter()
            .map(|need| TokenizerNeed { name: need.name, required: need.required })
            .collect(),
    })
}

/// As the program calls the task.
fn task(task: exported::Task) -> &'static str {
    match task {
        exported::Task::TextClassification => "text-classification",
        exported::Task::ZeroShotClassification => "zero-shot-classification",
        exported::Task::TokenClassification => "token-classification",
        exported::Task::QuestionAnswering => "question-answering",
        exported::Task::FillMask => "fill-mask",
        exported::Task::FeatureExtraction => "feature-extraction",
        exported::Task::SentenceEmbedding => "sentence-embedding",
        exported::Task::Similarity => "similarity",
        exported::Task::Rerank => "rerank",
        exported::Task::TextGeneration => "text-generation",
    }
}
