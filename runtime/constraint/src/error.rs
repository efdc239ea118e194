//! Why a constraint cannot be used.

use runtime_diagnostics::{Exit, Explain};

/// A failure of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The tokenizer does not say what bytes its tokens stand for.
    #[error("the model's tokenizer cannot be constrained: its tokens are no bytes of a text")]
    Tokenizer,
    /// A constraint is wrong, or too large.
    #[error("`{name}` cannot be used: {reason}")]
    Refused {
        /// The parameter that gives it.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No text satisfies a constraint.
    #[error("no text satisfies `{name}`: {reason}")]
    Unsatisfiable {
        /// The parameter that gives it.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The empty text alone satisfies a constraint.
    #[error("`{name}` allows nothing but the empty text")]
    Empty {
        /// The parameter that gives it.
        name: &'static str,
    },
    /// A text cannot go on as its constraint asks for.
    #[error("the text cannot go on as `{name}` asks for: {reason}")]
    Stuck {
        /// The parameter that gives it.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// Other parameters rule out all that a constraint allows.
    #[error("no token is left to choose from: other parameters rule out all that `{name}` allows")]
    RuledOut {
        /// The parameter that gives it.
        name: &'static str,
    },
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Tokenizer => Exit::Config,
            _ => Exit::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::RuledOut { .. } => {
                Some("relax the bans, such as `no_repeat_ngram_size`, `suppress_tokens` and `bad_words_ids`".to_owned())
            }
            Self::Refused { name: "json_schema", .. } => {
                Some("keywords that cannot be followed while a text is written are not supported".to_owned())
            }
            _ => None,
        }
    }
}
