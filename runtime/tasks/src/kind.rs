//! Which tasks there are.

use std::fmt;

use runtime_graph::Head;

/// A task, under the name that Hugging Face gives it where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Labels a text, or a text and its pair.
    TextClassification,
    /// Scores labels that the model was not trained for, by entailment.
    ZeroShotClassification,
    /// Labels tokens, and groups them into entities.
    TokenClassification,
    /// Finds the answer to a question in a text.
    QuestionAnswering,
    /// Fills in masked words.
    FillMask,
    /// The hidden state of each token.
    FeatureExtraction,
    /// One vector for each text.
    SentenceEmbedding,
    /// How alike two texts are, by their vectors.
    Similarity,
    /// Orders documents by how well they answer a query, reading both together (a cross-encoder).
    Rerank,
    /// Goes on from a text or a conversation.
    TextGeneration,
    /// Writes a shorter text.
    Summarization,
    /// Writes a text in another language.
    Translation,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::TextClassification,
        Self::ZeroShotClassification,
        Self::TokenClassification,
        Self::QuestionAnswering,
        Self::FillMask,
        Self::FeatureExtraction,
        Self::SentenceEmbedding,
        Self::Similarity,
        Self::Rerank,
        Self::TextGeneration,
        Self::Summarization,
        Self::Translation,
    ];

    /// Its name on the command line, in pipeline files and in recorded cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextClassification => "text-classification",
            Self::ZeroShotClassification => "zero-shot-classification",
            Self::TokenClassification => "token-classification",
            Self::QuestionAnswering => "question-answering",
            Self::FillMask => "fill-mask",
            Self::FeatureExtraction => "feature-extraction",
            Self::SentenceEmbedding => "sentence-embedding",
            Self::Similarity => "similarity",
            Self::Rerank => "rerank",
            Self::TextGeneration => "text-generation",
            Self::Summarization => "summarization",
            Self::Translation => "translation",
        }
    }

    /// The task of this name; `ner` and `sentiment-analysis` are the other names that Hugging Face has.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ner" => Some(Self::TokenClassification),
            "sentiment-analysis" => Some(Self::TextClassification),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// The head of the model that does it.
    pub fn head(self) -> Head {
        match self {
            Self::TextClassification | Self::ZeroShotClassification | Self::Rerank => Head::SequenceClassification,
            Self::TokenClassification => Head::TokenClassification,
            Self::QuestionAnswering => Head::QuestionAnswering,
            Self::FillMask => Head::MaskedLm,
            Self::TextGeneration => Head::CausalLm,
            Self::Summarization | Self::Translation => Head::Seq2SeqLm,
            Self::FeatureExtraction | Self::SentenceEmbedding | Self::Similarity => Head::Base,
        }
    }

    /// The tasks that a model with this head can do.
    pub fn of_head(head: Head) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |kind| kind.head() == head)
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
