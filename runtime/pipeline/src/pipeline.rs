//! What a pipeline is, once read and checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use runtime_diagnostics::{Problem, Source, Span};
use runtime_tasks::{Dtype, Generation, InputType, OutputType, Placement, TaskKind, TaskOptions};
use serde_json::{Map, Value};

use crate::name::Name;
use crate::plugin::{LogitsProcessor, Plugin, PluginSource, PluginStep};
use crate::prompt::PromptTemplate;
use crate::rules::{Accept, Expectation};
use crate::spanned::Spanned;
use crate::template::Template;

/// A checked pipeline: its names are unique, its references lead somewhere, its numbers are in range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pipeline {
    /// What it is called.
    pub name: String,
    /// What it does, for people.
    pub description: Option<String>,
    /// Where records come from.
    pub input: Input,
    /// The models that steps name and that run here, as the file orders them.
    pub models: Vec<Model>,
    /// The models that steps name and that others run, as the file orders them. No model has the name of another.
    pub endpoints: Vec<Endpoint>,
    /// The plugins that steps name, as the file orders them.
    pub plugins: Vec<Plugin>,
    /// The steps in the order they run; at least one.
    pub steps: Vec<Step>,
    /// The fields of an output record; without `[output]`, the last step's outputs under their own names.
    pub output: Vec<Output>,
    /// The pipeline's own tests.
    pub tests: Vec<Test>,
    /// What is legal but cannot be meant, such as a model that no step names.
    pub warnings: Vec<Problem>,
}

impl Pipeline {
    /// The fields of a record that steps read; one that several read comes as often.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let inputs = self.steps.iter().flat_map(|step| step.kind.inputs());
        inputs.filter_map(|input| match input.from {
            Reference::Field(field) => Some(field.as_str()),
            Reference::Output { .. } => None,
        })
    }
}

/// `[input]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Input {
    /// The file that is read where the command line names none, relative to the pipeline's folder.
    pub file: Option<Spanned<PathBuf>>,
    /// The longest record that is accepted, in bytes.
    pub max_record_bytes: usize,
}

impl Input {
    /// 256 KiB: some hundred pages of text, far beyond what a classifier reads, and small enough that a file which
    /// is no JSON Lines at all is refused at once.
    pub const DEFAULT_MAX_RECORD_BYTES: usize = 256 * 1024;
}

impl Default for Input {
    fn default() -> Self {
        Self { file: None, max_record_bytes: Self::DEFAULT_MAX_RECORD_BYTES }
    }
}

/// `[models.NAME]`.
#[derive(Clone, Debug)]
pub struct Model {
    /// What steps call it.
    pub name: Name,
    /// `./folder` or `org/name[@revision]`, as written.
    pub source: Spanned<String>,
    /// A sandboxed architecture to use instead of a built-in one.
    pub plugin: Option<PluginSource>,
    /// The folder of a LoRA adapter for it, relative to the pipeline's folder.
    pub adapter: Option<Spanned<PathBuf>>,
    /// The folders of adapters that steps and rungs choose from, by name; the weights are shared by all.
    pub adapters: Vec<(Name, Spanned<PathBuf>)>,
    /// What its weights are computed in.
    pub dtype: Dtype,
    /// Where it runs, if not where the command line says.
    pub device: Option<Spanned<Placement>>,
}

/// `[models.NAME]` with a `provider`: a model behind an endpoint. What is `None` is up to the client.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What steps call it.
    pub name: Name,
    /// How it is spoken to.
    pub provider: Provider,
    /// Where it is, as written.
    pub base_url: Spanned<String>,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key.
    pub api_key_env: Option<Spanned<String>>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How often what is passing is tried again.
    pub retries: Option<u32>,
    /// Requests under way at once.
    pub concurrency: Option<usize>,
    /// Whether a key may be sent unencrypted to other machines.
    pub allow_plain_http: bool,
}

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// As OpenAI's chat completions are.
    OpenAi,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::OpenAi];

    /// As `provider` names it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }
}

/// `[[steps]]`.
#[derive(Clone, Debug)]
pub struct Step {
    /// What later steps and `[output]` call it.
    pub name: Name,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Asks one rung after the other until one accepts its own answer.
    Ladder(Ladder),
    /// Scores every label.
    ZeroShot(ZeroShot),
    /// Has a language model go on from a prompt, or answer it.
    Generate(GenerateStep),
    /// Does another task.
    Task(TaskStep),
    /// Has a plugin do something.
    Plugin(PluginStep),
}

impl StepKind {
    pub(crate) const LADDER: &str = "ladder";
    pub(crate) const ZERO_SHOT: &str = "zero-shot-classification";

    pub(crate) const GENERATE: &str = "generate";
    pub(crate) const CHAT: &str = "chat";
    pub(crate) const PLUGIN: &str = "plugin";
    /// Shorter names of tasks.
    const SHORT: [(&str, TaskKind); 2] = [("summarize", TaskKind::Summarization), ("translate", TaskKind::Translation)];

    /// All names of kinds.
    pub(crate) fn kinds() -> Vec<&'static str> {
        let own = [Self::LADDER, Self::GENERATE, Self::CHAT, Self::PLUGIN].into_iter();
        own.chain(Self::SHORT.map(|(name, _)| name)).chain(TaskKind::ALL.map(TaskKind::name)).collect()
    }

    /// The task of a kind of step.
    pub(crate) fn task(kind: &str) -> Option<TaskKind> {
        let short = Self::SHORT.into_iter().find(|(name, _)| *name == kind).map(|(_, task)| task);
        short.or_else(|| TaskKind::ALL.into_iter().find(|task| task.name() == kind))
    }

    /// As `kind` names it in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ladder(_) => Self::LADDER,
            Self::ZeroShot(_) => Self::ZERO_SHOT,
            Self::Generate(step) => step.kind(),
            Self::Task(step) => step.task.name(),
            Self::Plugin(_) => Self::PLUGIN,
        }
    }

    /// What it reads.
    pub fn inputs(&self) -> Vec<StepInput<'_>> {
        let text = |from| vec![StepInput { key: "text", holds: InputType::Text, from }];
        match self {
            Self::Ladder(ladder) => text(&ladder.text),
            Self::ZeroShot(step) => text(&step.text),
            Self::Generate(step) => {
                step.reads.iter().map(|from| StepInput { key: "prompt", holds: InputType::Any, from }).collect()
            }
            Self::Task(step) => {
                step.inputs.iter().map(|(key, holds, from)| StepInput { key, holds: *holds, from }).collect()
            }
            Self::Plugin(step) => {
                let inputs = step.inputs.iter();
                inputs.map(|(key, from)| StepInput { key: key.as_str(), holds: InputType::Any, from }).collect()
            }
        }
    }

    /// The labels that it chooses from, where the pipeline gives them.
    pub fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Ladder(ladder) => Some(&ladder.labels),
            Self::ZeroShot(step) => Some(&step.labels),
            Self::Generate(_) | Self::Task(_) | Self::Plugin(_) => None,
        }
    }
}

/// Something that a step reads.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a> {
    /// The key of the step that names it.
    pub key: &'a str,
    /// What it must be.
    pub holds: InputType,
    /// Where it comes from.
    pub from: &'a Reference,
}

/// The outputs of a step of this kind; none for a kind that does not exist.
pub(crate) fn outputs_of(kind: &str) -> &'static [(&'static str, OutputType)] {
    use OutputType::{Number, Text};
    match kind {
        StepKind::LADDER => &[("label", Text), ("score", Number), ("rung", Text)],
        StepKind::GENERATE | StepKind::CHAT => &[("text", Text), ("tokens", Number), ("finish_reason", Text)],
        task => StepKind::task(task).map_or(&[], TaskKind::outputs),
    }
}

/// `kind = "ladder"`. Outputs `label`, `score` and `rung`; all three are null where no rung accepts.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// What is classified.
    pub text: Reference,
    /// What it can be.
    pub labels: Labels,
    /// At least one, cheapest first.
    pub rungs: Vec<Rung>,
}

/// `kind = "zero-shot-classification"`. Outputs `label`, `score`, `labels` and `scores`, the last two best first.
#[derive(Clone, Debug)]
pub struct ZeroShot {
    /// What is classified.
    pub text: Reference,
    /// What it can be.
    pub labels: Labels,
    /// What scores the labels.
    pub classifier: Classifier,
}

/// `kind = "generate"`, which goes on from a prompt, and `kind = "chat"`, which answers it in the form that the model was
/// trained on. Both have the parameters of generation as their keys. Outputs `text`, without the prompt, `tokens`, their
/// number, and `finish_reason`: `stop` or `length`.
#[derive(Clone, Debug)]
pub struct GenerateStep {
    /// Whether the model's chat template is used.
    pub chat: bool,
    /// A declared model.
    pub model: Spanned<Name>,
    /// Which of the model's adapters; where it comes out empty, none.
    pub adapter: Option<Spanned<PromptTemplate>>,
    /// What a chat begins with.
    pub system: Option<PromptTemplate>,
    /// What the model is asked.
    pub prompt: PromptTemplate,
    /// What these read.
    pub reads: Vec<Reference>,
    /// The plugins that change scores, in their order.
    pub logits_processors: Vec<LogitsProcessor>,
    /// The parameters.
    pub options: Generation,
    /// The parameters that are written.
    pub params: Vec<(&'static str, Spanned<Value>)>,
}

/// Which of a model's adapters a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    /// None.
    None,
    /// The same for every record.
    Always(String),
    /// What a template makes of a record, which may be any.
    ByRecord,
}

impl GenerateStep {
    /// Which adapters it may ask for.
    pub fn adapter_choice(&self) -> AdapterChoice {
        self.adapter.as_ref().map_or(AdapterChoice::None, |template| AdapterChoice::of(template))
    }

    fn kind(&self) -> &'static str {
        if self.chat { StepKind::CHAT } else { StepKind::GENERATE }
    }
}

impl AdapterChoice {
    pub(crate) fn of(template: &PromptTemplate) -> Self {
        if template.variables().next().is_some() {
            return Self::ByRecord;
        }
        match template.render(&Map::new()) {
            Ok(name) if name.trim().is_empty() => Self::None,
            Ok(name) => Self::Always(name.trim().to_owned()),
            Err(_) => Self::ByRecord,
        }
    }
}

/// A step that does a task, such as `kind = "token-classification"`, with the task's parameters as its keys. Its outputs
/// are [`TaskKind::outputs`].
#[derive(Clone, Debug)]
pub struct TaskStep {
    /// The task.
    pub task: TaskKind,
    /// A declared model.
    pub model: Spanned<Name>,
    /// What it reads: a field of the task's input, what that holds, and where it comes from.
    pub inputs: Vec<(&'static str, InputType, Reference)>,
    /// The parameters, defaults filled in.
    pub options: TaskOptions,
    /// The parameters that are written.
    pub params: Vec<(&'static str, Spanned<Value>)>,
    /// Whether a text that is longer than the model takes is cut off, instead of refused.
    pub truncate: bool,
}

/// A model that scores labels by entailment: does the text imply the hypothesis made of the label?
#[derive(Clone, Debug)]
pub struct Classifier {
    /// A declared model.
    pub model: Spanned<Name>,
    /// What the hypothesis is made from.
    pub hypothesis_template: Template,
    /// Whether labels are scored apart, so that several can be likely at once.
    pub multi_label: bool,
}

/// Where the labels are.
#[derive(Clone, Debug)]
pub enum Labels {
    /// In the pipeline: at least one, none twice.
    Inline(Vec<String>),
    /// In a file relative to the pipeline's folder, whose text [`parse_labels`](crate::parse_labels) reads.
    File(Spanned<PathBuf>),
}

/// `[[steps.rungs]]`.
#[derive(Clone, Debug)]
pub struct Rung {
    /// What the step's output `rung` says.
    pub name: Name,
    /// Who is asked.
    pub kind: RungKind,
    /// Which answers are final.
    pub accept: Accept,
}

/// Who is asked on a rung.
#[derive(Clone, Debug)]
pub enum RungKind {
    /// A zero-shot classifier.
    ZeroShot(Classifier),
    /// A language model, whose answer is one of the labels.
    Llm {
        /// A declared model.
        model: Spanned<Name>,
        /// One of the model's adapters.
        adapter: Option<Spanned<Name>>,
        /// What it is told first, instead of the default.
        system: Option<PromptTemplate>,
        /// What it is asked, of `text` and `labels`, instead of the default.
        prompt: Option<PromptTemplate>,
        /// The label of a record where the model cannot be had, or is the last one and names none.
        otherwise: String,
    },
}

impl RungKind {
    pub(crate) const ZERO_SHOT: &str = StepKind::ZERO_SHOT;
    pub(crate) const LLM: &str = "llm";
    pub(crate) const KINDS: [&str; 2] = [Self::ZERO_SHOT, Self::LLM];

    /// As `kind` names it in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ZeroShot(_) => Self::ZERO_SHOT,
            Self::Llm { .. } => Self::LLM,
        }
    }
}

/// Where a step's text comes from. Displays as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A field of the record.
    Field(String),
    /// A text that an earlier step put out.
    Output {
        /// The earlier step.
        step: Name,
        /// One of its outputs.
        output: String,
    },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field),
            Self::Output { step, output } => write!(f, "{step}.{output}"),
        }
    }
}

/// A field of the output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The field's name.
    pub field: String,
    /// The step that fills it.
    pub step: Name,
    /// With which of its outputs.
    pub output: String,
}

/// `[[tests]]`: a record and what must come of it.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it shows; no other test has it.
    pub name: String,
    /// The record.
    pub input: Map<String, Value>,
    /// What is expected of fields of the output record; at least one.
    pub expect: Vec<(String, Expectation)>,
    /// Where the test stands, for reporting its failure.
    pub place: (Source, Span),
}
