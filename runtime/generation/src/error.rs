//! Why a request cannot be generated.

use runtime_diagnostics::{Exit, Explain};

/// A wrong parameter, or scores that leave nothing to choose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A parameter of a call is unknown, of the wrong type, out of range, or not done here.
    #[error("{message}")]
    Param {
        /// The parameter.
        key: String,
        /// What is wrong, naming it.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A value of the model's `generation_config.json` or `config.json` cannot be used.
    #[error("in `{file}`, {message}")]
    File {
        /// The file.
        file: &'static str,
        /// What is wrong, naming the value.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A parameter names a token that the model cannot give.
    #[error("`{key}` names the token {token}, and the model has tokens 0 to {last}")]
    OutsideVocabulary {
        /// The parameter.
        key: &'static str,
        /// The token.
        token: u32,
        /// The model's last token.
        last: usize,
    },
    /// The prompt takes the whole length.
    #[error("the prompt has {prompt} tokens, and `max_length` is {max_length}")]
    NoRoom {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of prompt and result together.
        max_length: usize,
    },
    /// Parameters that rule out every token.
    #[error("no token is left to choose from: the call, or one of its plugins, rules out each of {vocabulary}")]
    NothingLeft {
        /// Tokens of the vocabulary.
        vocabulary: usize,
    },
    /// The model's scores are no numbers.
    #[error("the model gives NaN as the score of token {token}, so that its weights must be damaged")]
    NoNumber {
        /// The first such token.
        token: usize,
    },
}

impl Error {
    pub(crate) fn param(key: &str, message: impl Into<String>) -> Self {
        Self::Param { key: key.to_owned(), message: message.into(), hint: None }
    }

    pub(crate) fn hinted(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Param { key: key.to_owned(), message: message.into(), hint: Some(hint.into()) }
    }

    /// The same, of the model's own file instead of a call.
    pub(crate) fn of_file(self, file: &'static str) -> Self {
        match self {
            Self::Param { message, hint, .. } => Self::File { file, message, hint },
            other => other,
        }
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Param { .. } | Self::OutsideVocabulary { .. } | Self::NothingLeft { .. } => Exit::Usage,
            Self::NoRoom { .. } => Exit::Data,
            Self::File { .. } | Self::NoNumber { .. } => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Param { hint, .. } | Self::File { hint, .. } => hint.clone(),
            Self::NoRoom { .. } => {
                Some("set `max_new_tokens` instead of `max_length`, or shorten the prompt".to_owned())
            }
            Self::NothingLeft { .. } => {
                Some("relax the bans and limits, such as `suppress_tokens` and `bad_words_ids`, or leave out plugins that change scores".to_owned())
            }
            Self::OutsideVocabulary { .. } | Self::NoNumber { .. } => None,
        }
    }
}
