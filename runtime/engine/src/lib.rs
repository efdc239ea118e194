//! Runs pipelines: loads models once, batches what is asked of them, and climbs ladders.
//!
//! A [`Registry`] holds the loaded models. A [`Generation`] is a pipeline built over it, immutable: an edited pipeline
//! is built as another generation beside the one that serves, over the same loaded models, and then takes its place.

mod adapters;
mod architecture;
mod chat_template;
mod devices;
mod error;
mod generate;
mod generation;
mod hosted;
mod label_chooser;
mod ladder;
mod language_model;
mod memo;
mod plugins;
mod registry;
mod scheduler;
mod sentence;
mod stamp;
mod task;
mod verify;
mod waited;
mod writer;
mod zero_shot;

pub use adapters::Adapters;
pub use architecture::Architecture;
pub use chat_template::chat_template;
pub use error::Error;
pub use generate::{
    Decode, GenerateRequest, Generated, GeneratedSequence, GenerationStream, Generator, NewToken, Scored,
};
pub use generation::{Answer, Generation, RecordError, RungNote, check_files, dependencies, type_name};
pub use language_model::LanguageModel;
pub use plugins::{LogitsProcessor, check_all as check_plugins};
pub use registry::{LoadOptions, LoadedModel, Options, Registry};
pub use runtime_plugin_host::{Described, Error as PluginError, Inspection, Kind as SlotKind, PluginFile, Slot, World};
pub use runtime_tensor::{GpuAdapter, GpuKind, gpus, instruction_set};
pub use scheduler::ScheduleError;
pub use sentence::SentenceError;
pub use stamp::Stamp;
pub use task::{
    FeatureExtraction, Fields, FillMask, QuestionAnswering, Rerank, SentenceEmbedding, Similarity, Task, TaskAnswer,
    TextClassification, TextGeneration, TextToText, TokenClassification, ZeroShotClassification,
};
pub use verify::{CaseSet, Outcome, VerifyError};
pub use zero_shot::{Classification, ZeroShot, ZeroShotOptions};
