//! Which fields the input of each task has: the one table for command line, pipeline steps and records.

use crate::TaskKind;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// One text.
    Text,
    /// A list of texts, or one.
    Texts,
    /// Whatever a template may read.
    Any,
}

/// A field of a task's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskInput {
    /// As records and pipeline steps call it.
    pub name: &'static str,
    /// What it holds.
    pub holds: InputType,
    /// Whether the task cannot do without.
    pub required: bool,
}

const fn text(name: &'static str) -> TaskInput {
    TaskInput { name, holds: InputType::Text, required: true }
}

const fn texts(name: &'static str) -> TaskInput {
    TaskInput { name, holds: InputType::Texts, required: true }
}

const fn optional(input: TaskInput) -> TaskInput {
    TaskInput { required: false, ..input }
}

impl TaskKind {
    /// The fields of its input. A text that is given without a name is the first of them that has none yet.
    pub fn inputs(self) -> &'static [TaskInput] {
        const PAIR: TaskInput = text("text_pair");
        match self {
            Self::TextClassification | Self::FeatureExtraction => const { &[text("text"), optional(PAIR)] },
            // The labels may come as a parameter instead.
            Self::ZeroShotClassification => const { &[text("text"), optional(texts("candidate_labels"))] },
            Self::TokenClassification
            | Self::FillMask
            | Self::SentenceEmbedding
            | Self::TextGeneration
            | Self::Summarization
            | Self::Translation => const { &[text("text")] },
            Self::QuestionAnswering => const { &[text("context"), text("question")] },
            Self::Similarity => const { &[text("text"), PAIR] },
            Self::Rerank => const { &[text("query"), texts("documents")] },
        }
    }
}
