//! Why a model cannot be loaded or asked.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain, nearest};
use runtime_models::Error as ModelError;
use runtime_tasks::{DeviceName, TaskKind};

use crate::scheduler::ScheduleError;

/// A failure of the engine, most of them another crate's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An endpoint cannot be asked as it is named.
    #[error(transparent)]
    Provider(#[from] runtime_provider::Error),
    /// A model behind an endpoint does not answer.
    #[error("no answer of the hosted model `{model}`")]
    Hosted {
        /// Its name there.
        model: String,
        /// Why.
        source: runtime_provider::Error,
    },
    /// A model behind an endpoint answers with what it was told not to.
    #[error("the hosted model `{model}` does not answer as `{name}` says")]
    Unlike {
        /// Its name there.
        model: String,
        /// The parameter.
        name: &'static str,
    },
    /// There is no key for an endpoint.
    #[error("the environment variable `{variable}`, which is to hold the key, is not set")]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// A model's name has no known form.
    #[error(transparent)]
    Source(#[from] runtime_hub::SourceError),
    /// The model cannot be had.
    #[error(transparent)]
    Hub(#[from] runtime_hub::Error),
    /// The model's folder cannot be used.
    #[error(transparent)]
    Model(#[from] runtime_models::Error),
    /// A conversation cannot be rendered.
    #[error(transparent)]
    Chat(#[from] runtime_chat::Error),
    /// A plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] runtime_plugin_host::Error),
    /// Plugins change the scores of texts, not of beams.
    #[error("plugins that change scores do not go with a search with beams")]
    PluginBeams,
    /// A plugin is for other models.
    #[error("the plugin `{}` is for {}, and the model is a `{model_type}`", .plugin.display(), .serves.join(", "))]
    OtherModel {
        /// The plugin's file.
        plugin: PathBuf,
        /// The model types it is for.
        serves: Vec<String>,
        /// The model's.
        model_type: String,
    },
    /// The model was asked, but did not answer.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The parameters of a generation are wrong, or leave nothing to choose.
    #[error(transparent)]
    Generate(#[from] runtime_generation::Error),
    /// A prompt without tokens.
    #[error("the prompt has no tokens, and the model has no token to begin with")]
    EmptyPrompt,
    /// A language that the model does not name.
    #[error("the model does not know the language `{language}` of `{key}`")]
    NoLanguage {
        /// The parameter.
        key: &'static str,
        /// The language.
        language: String,
    },
    /// A prompt cannot be made of a record.
    #[error("the {what} cannot be made")]
    Prompt {
        /// Which of a step's templates.
        what: &'static str,
        /// Why.
        source: runtime_pipeline::PromptError,
    },
    /// A device that there is not.
    #[error("there is no device `{name}`")]
    NoDevice {
        /// As it was asked for.
        name: DeviceName,
        /// The GPUs that there are.
        known: Vec<String>,
    },
    /// Two names of one device.
    #[error("`{first}` and `{second}` are the same device")]
    SameDevice {
        /// The one.
        first: DeviceName,
        /// The other.
        second: DeviceName,
    },
    /// A device that this build cannot use.
    #[error("CUDA is not built into this program")]
    NoCuda,
    /// Products of bytes, which GPUs do not do here.
    #[error("`int8` cannot be computed on a GPU")]
    Int8OnGpu,
    /// A GPU cannot be opened.
    #[error(transparent)]
    Gpu(#[from] runtime_tensor::GpuError),
    /// An adapter that the model was not given.
    #[error("there is no adapter `{name}`")]
    UnknownAdapter {
        /// As a record has it.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A decoder that has nothing to begin with.
    #[error("neither `generation_config.json` nor `config.json` has a `decoder_start_token_id`")]
    NoStartToken,
    /// A prompt longer than the model takes.
    #[error("the prompt has {tokens} tokens and shall get at least {new}, and the model takes {limit}")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that must have room behind it.
        new: usize,
        /// Tokens that the model takes.
        limit: usize,
    },
    /// A request that the cache could not hold even alone.
    #[error("the request may need keys and values of {needed} tokens, and there is room for {tokens}")]
    CacheTooSmall {
        /// Tokens that it may need.
        needed: usize,
        /// Tokens that there is room for.
        tokens: usize,
    },
    /// Too many requests wait.
    #[error("{waiting} requests wait for this model already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// A classifier without labels.
    #[error("there is no label to choose from")]
    NoLabels,
    /// A label without text.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label that is there twice.
    #[error("the label `{label}` is there more than once")]
    RepeatedLabel {
        /// The label.
        label: String,
    },
    /// The folder's sentence-transformers files cannot be followed.
    #[error(transparent)]
    Sentence(#[from] crate::sentence::SentenceError),
    /// A hypothesis template is none.
    #[error("`hypothesis_template` is wrong: {0}")]
    Template(#[from] runtime_pipeline::TemplateError),
    /// The model was trained for other tasks.
    #[error("the model in `{}` cannot do {task}: {}", .folder.display(), other_tasks(.can))]
    OtherTask {
        /// Its folder.
        folder: PathBuf,
        /// The task.
        task: TaskKind,
        /// What it can do.
        can: Vec<TaskKind>,
    },
    /// A text is longer than the model takes, and may not be cut off.
    #[error("the text has {tokens} tokens, and the model takes {limit}")]
    TooLong {
        /// Tokens of the text, special ones included.
        tokens: usize,
        /// Tokens that the model takes.
        limit: usize,
    },
    /// A question fills the windows in which a context is read.
    #[error(
        "the question has {tokens} tokens, which leaves {room} of the {window} of a window for the context, and \
         windows overlap by {stride}"
    )]
    QuestionTooLong {
        /// Tokens of the question.
        tokens: usize,
        /// Tokens that are left for the context.
        room: usize,
        /// Tokens of a window.
        window: usize,
        /// Tokens by which windows overlap.
        stride: usize,
    },
    /// A tokenizer without mask token.
    #[error("the model's tokenizer has no mask token")]
    NoMaskToken,
    /// A text without mask.
    #[error("there is no `{mask}` in the text{}", if *.truncated { ", as far as the model takes it" } else { "" })]
    NoMask {
        /// The mask token.
        mask: String,
        /// Whether its end is cut off.
        truncated: bool,
    },
    /// The model's scores are infinite or no numbers at all.
    #[error("the model gives {score} instead of a score, so that its weights must be damaged")]
    NoNumber {
        /// What it gives.
        score: f32,
    },
    /// A hypothesis leaves no place for the text.
    #[error("the hypothesis for the label `{label}` alone fills the {limit} tokens that the model takes")]
    HypothesisTooLong {
        /// The label.
        label: String,
        /// Tokens.
        limit: usize,
    },
    /// A constraint cannot be used, or followed.
    #[error(transparent)]
    Constraint(#[from] runtime_constraint::Error),
    /// A parameter of a task is wrong.
    #[error(transparent)]
    Param(#[from] runtime_tasks::ParamError),
    /// An input lacks what the task reads.
    #[error("there is no `{field}`")]
    NoField {
        /// The field.
        field: &'static str,
        /// The fields that it has.
        has: Vec<String>,
    },
    /// A field holds nothing but white space.
    #[error("`{field}` is empty")]
    EmptyField {
        /// The field.
        field: &'static str,
    },
    /// A field is no text.
    #[error("`{field}` is not a text but {found}")]
    NoText {
        /// The field.
        field: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// There is a text and a conversation.
    #[error("there is a `text` and `messages`, and one of them is gone on from")]
    TextAndMessages,
    /// A conversation is no list.
    #[error("`messages` is not a list of messages but {found}")]
    NoMessages {
        /// What it is.
        found: &'static str,
    },
    /// A field is no list of words.
    #[error("`{field}` is not a list of words but {found}")]
    NoWords {
        /// The field.
        field: &'static str,
        /// What it is.
        found: &'static str,
    },
}

/// What a model can do instead.
fn other_tasks(can: &[TaskKind]) -> String {
    if can.is_empty() {
        return "it has the weights of no task".to_owned();
    }
    format!("it can do {}", can.iter().map(|task| task.name()).collect::<Vec<_>>().join(", "))
}

impl Error {
    /// Whether it is about the devices that a model was to run on.
    pub(crate) fn is_of_device(&self) -> bool {
        use runtime_tensor::Error as PlanError;
        match self {
            Self::NoDevice { .. } | Self::SameDevice { .. } | Self::NoCuda | Self::Int8OnGpu | Self::Gpu(_) => true,
            Self::Model(ModelError::Compile { source, .. }) => {
                matches!(source, PlanError::Layers { .. } | PlanError::NoRoom { .. } | PlanError::UnknownMemory { .. })
            }
            _ => false,
        }
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Provider(error) | Self::Hosted { source: error, .. } => error.exit(),
            Self::Unlike { .. } => Exit::Data,
            Self::NoKey { .. } => Exit::Config,
            Self::Source(error) => error.exit(),
            Self::Hub(error) => error.exit(),
            Self::Model(error) => error.exit(),
            Self::Chat(error) => error.exit(),
            Self::Plugin(error) => error.exit(),
            Self::Schedule(_) => Exit::Internal,
            Self::Generate(error) => error.exit(),
            Self::Constraint(error) => error.exit(),
            Self::Busy { .. } | Self::CacheTooSmall { .. } => Exit::Unavailable,
            Self::UnknownAdapter { .. } => Exit::Data,
            Self::NoDevice { .. } | Self::NoCuda => Exit::Unavailable,
            Self::Int8OnGpu | Self::SameDevice { .. } => Exit::Usage,
            Self::Gpu(error) => error.exit(),
            Self::PluginBeams => Exit::Usage,
            Self::EmptyPrompt | Self::PromptTooLong { .. } | Self::Prompt { .. } => Exit::Data,
            Self::Param(error) => error.exit(),
            Self::Template(error) => error.exit(),
            Self::Sentence(error) => error.exit(),
            Self::NoField { .. }
            | Self::EmptyField { .. }
            | Self::NoText { .. }
            | Self::NoWords { .. }
            | Self::NoMessages { .. }
            | Self::TextAndMessages
            | Self::TooLong { .. }
            | Self::QuestionTooLong { .. }
            | Self::NoMask { .. } => Exit::Data,
            Self::OtherModel { .. }
            | Self::NoStartToken
            | Self::NoLanguage { .. }
            | Self::NoMaskToken
            | Self::NoNumber { .. }
            | Self::NoLabels
            | Self::EmptyLabel
            | Self::RepeatedLabel { .. }
            | Self::OtherTask { .. }
            | Self::HypothesisTooLong { .. } => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDevice { known, .. } if known.is_empty() => Some(
                "no Vulkan, Metal or DirectX 12 driver shows a GPU; `runtime devices` lists what there is, and `--device cpu` \
                 is always there"
                    .to_owned(),
            ),
            Self::NoDevice { known, .. } => Some(format!("there are cpu, {}", known.join(", "))),
            Self::Int8OnGpu => Some("`bf16` halves the weights there; `--device cpu` computes in int8".to_owned()),
            Self::NoCuda => Some("`--device wgpu` uses a GPU of NVIDIA over Vulkan".to_owned()),
            Self::Gpu(error) => error.hint(),
            Self::UnknownAdapter { name, known } => Some(match nearest(name, known.iter().map(String::as_str)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are `{}`; without one the model answers as it is", known.join("`, `")),
            }),
            Self::Provider(error) | Self::Hosted { source: error, .. } => error.hint(),
            Self::Unlike { .. } => Some(
                "the endpoint passes over `response_format`: say in the prompt what the answer shall be".to_owned(),
            ),
            Self::NoKey { variable } => {
                Some(format!("`export {variable}=...`, or leave out `api_key_env` where no key is needed"))
            }
            Self::Source(error) => error.hint(),
            Self::Hub(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Chat(error) => error.hint(),
            Self::Plugin(error) => error.hint(),
            Self::Param(error) => error.hint(),
            Self::Generate(error) => error.hint(),
            Self::Constraint(error) => error.hint(),
            Self::PromptTooLong { .. } => Some("shorten the prompt".to_owned()),
            Self::CacheTooSmall { .. } => Some("set a lower `max_new_tokens`, or fewer beams or sequences".to_owned()),
            Self::NoLanguage { .. } => Some(
                "a model that is told in words needs `prefix` instead, such as `translate English to German: `"
                    .to_owned(),
            ),
            Self::Busy { .. } => Some("try again later".to_owned()),
            Self::Template(error) => error.hint(),
            Self::Sentence(error) => error.hint(),
            Self::NoLabels => Some("give `candidate_labels`, as a list or a text with commas".to_owned()),
            Self::TooLong { .. } => Some("shorten it, or leave out `--no-truncate`, which cuts off its end".to_owned()),
            Self::QuestionTooLong { .. } => {
                Some("shorten the question, or set a lower `doc_stride` or a higher `max_seq_len`".to_owned())
            }
            Self::TextAndMessages => Some("leave one of the two out of the record".to_owned()),
            Self::NoMask { mask, .. } => Some(format!("write `{mask}` where a word is to be filled in")),
            Self::NoWords { .. } => Some("`is_split_into_words` asks for a list".to_owned()),
            Self::NoField { field, has } => {
                // A field that is there holds null.
                let nearest = nearest(field, has.iter().map(String::as_str));
                nearest.filter(|nearest| nearest != field).map(|nearest| format!("did you mean `{nearest}`?"))
            }
            _ => None,
        }
    }
}
