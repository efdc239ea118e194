//! Why a constraint cannot be used.

use runtime_diagnostics::{Exit, Explain};

/// A failure of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The tokenizer does not say what bytes its tokens stand for.
    #[error("the model's tokenizer cannot be constrained: its tokens are no bytes of a text")]
    Tokenizer,
    /// A constraint is wrong, or asks for what cannot be followed.
    #[error("`{name}` cannot be used: {reason}")]
    Refused {
        /// The parameter that gives it.
        name: &'static str,
        /// What is wrong, and where in it.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A constraint is too large.
    #[error("`{name}` is too large to be followed")]
    TooLarge {
        /// The parameter that gives it.
        name: &'static str,
    },
    /// A grammar names a token by itself, and the model does not have it.
    #[error("`{name}` names a token that the model does not have: {reason}")]
    NoToken {
        /// The parameter that gives it.
        name: &'static str,
        /// Which, and where.
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
            Self::Refused { hint, .. } => hint.clone(),
            Self::TooLarge { name } => Some(smaller(name).to_owned()),
            _ => None,
        }
    }
}

/// What makes a constraint smaller.
fn smaller(name: &str) -> &'static str {
    match name {
        "json_schema" => "fewer properties and values, and lower bounds of lengths, make it smaller",
        "choices" => "fewer or shorter texts make it smaller",
        "regex" => "lower counts, and `\\w` in ASCII alone (`[a-z]`), make it smaller",
        _ => "fewer rules, and lower counts, make it smaller",
    }
}
