//! What an architecture is: names it answers to, and a function that describes a graph.

use crate::{Builder, Config, Dim, Refusal};

/// Which outputs a graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// The base model: `hidden_states` `[n, hidden]`.
    Base,
    /// One row of scores for each sequence: `logits` `[s, labels]`.
    SequenceClassification,
    /// One row of scores for each token: `logits` `[n, labels]`.
    TokenClassification,
    /// Scores of each token to begin and to end an answer: `logits` `[n, 2]`.
    QuestionAnswering,
    /// Scores of the whole vocabulary for the rows that are asked for: `logits` `[r, vocabulary]`.
    MaskedLm,
    /// Scores of the token behind each of the rows that are asked for: `logits` `[r, vocabulary]`.
    CausalLm,
    /// Scores of the token behind each of the rows that are asked for, in a text that has a source: `logits`
    /// `[r, vocabulary]`.
    Seq2SeqLm,
}

impl Head {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Base,
        Self::SequenceClassification,
        Self::TokenClassification,
        Self::QuestionAnswering,
        Self::MaskedLm,
        Self::CausalLm,
        Self::Seq2SeqLm,
    ];

    /// Those that encoders may have.
    pub const OF_ENCODERS: [Self; 5] =
        [Self::Base, Self::SequenceClassification, Self::TokenClassification, Self::QuestionAnswering, Self::MaskedLm];

    /// Its name on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::SequenceClassification => "sequence-classification",
            Self::TokenClassification => "token-classification",
            Self::QuestionAnswering => "question-answering",
            Self::MaskedLm => "masked-lm",
            Self::CausalLm => "causal-lm",
            Self::Seq2SeqLm => "seq2seq-lm",
        }
    }

    /// The head of a class of transformers, such as `BertForMaskedLM`, as `architectures` in `config.json` names it.
    pub fn of_class(class: &str) -> Option<Self> {
        let heads = [
            ("ForSequenceClassification", Self::SequenceClassification),
            ("ForTokenClassification", Self::TokenClassification),
            ("ForQuestionAnswering", Self::QuestionAnswering),
            ("ForMaskedLM", Self::MaskedLm),
            ("ForCausalLM", Self::CausalLm),
            ("ForConditionalGeneration", Self::Seq2SeqLm),
            ("T5WithLMHeadModel", Self::Seq2SeqLm),
            ("LMHeadModel", Self::CausalLm),
            ("MTModel", Self::Seq2SeqLm),
            ("Model", Self::Base),
        ];
        heads.into_iter().find(|(ending, _)| class.ends_with(ending)).map(|(_, head)| head)
    }

    /// The output that it is for.
    pub fn output(self) -> &'static str {
        match self {
            Self::Base => "hidden_states",
            _ => "logits",
        }
    }

    /// What the rows of that output are of.
    pub fn rows(self) -> Dim {
        match self {
            Self::SequenceClassification => Dim::Sequences,
            Self::MaskedLm | Self::CausalLm | Self::Seq2SeqLm => Dim::Rows,
            Self::Base | Self::TokenClassification | Self::QuestionAnswering => Dim::Tokens,
        }
    }

    /// Whether its columns are the labels of `config.json`.
    pub fn is_labelled(self) -> bool {
        matches!(self, Self::SequenceClassification | Self::TokenClassification)
    }
}

/// An architecture: code that says how the models of some `model_type`s are wired.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// Its name, such as `bert`.
    pub name: &'static str,
    /// The values of `model_type` in `config.json` that it is for.
    pub model_types: &'static [&'static str],
    /// The prefix of the base model's tensors, which a checkpoint of the base model alone leaves out.
    pub base_prefix: &'static str,
    /// The heads it can build.
    pub heads: &'static [Head],
    /// Describes the graph for a configuration and a head.
    pub build: fn(&Builder, &Config, Head) -> Result<(), Refusal>,
}
