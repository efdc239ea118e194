//! What an architecture is: names it answers to, and a function that describes a graph.

use crate::{Builder, Config, Refusal};

/// Which outputs a graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// The base model: `hidden_states` `[n, hidden]`.
    Base,
    /// One row of scores for each sequence: `logits` `[s, labels]`.
    SequenceClassification,
}

impl Head {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Base, Self::SequenceClassification];

    /// Its name on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::SequenceClassification => "sequence-classification",
        }
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
