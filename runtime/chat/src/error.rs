//! Why a chat cannot be rendered.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain, printable};

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is unreadable.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("`{}` has more than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A JSON file is none.
    #[error("cannot understand `{}`", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A field of a JSON file is not what it should be.
    #[error("`{field}` in `{}` is to be {expected}", .path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A model has no template.
    #[error("the model in `{}` has no chat template", .folder.display())]
    NoTemplate {
        /// The model's folder.
        folder: PathBuf,
    },
    /// There are several templates, and none for this call.
    #[error("the model has the chat templates {}, and none is named `default`", listed(.names))]
    NoDefault {
        /// The names of those there are.
        names: Vec<String>,
    },
    /// The template cannot be parsed, or fails.
    #[error("template error at line {line} of {place}: {reason}")]
    Template {
        /// Where the template is from.
        place: String,
        /// The line in it, from 1; 0 where none is known.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The template calls `raise_exception`.
    #[error("the chat template refuses this conversation at line {line} of {place}: {message}")]
    Refused {
        /// Where the template is from.
        place: String,
        /// The line of the call, from 1; 0 where none is known.
        line: usize,
        /// What the template says.
        message: String,
    },
    /// The rendered text is longer than any prompt.
    #[error("the chat template in {place} writes more than {limit} bytes")]
    TooLong {
        /// Where the template is from.
        place: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is no message.
    #[error("the conversation has no message")]
    Empty,
    /// A message, a tool or a document is no JSON object.
    #[error("{what} {number} is no object")]
    NoObject {
        /// What it is: "message", "document" or "tool".
        what: &'static str,
        /// Which, from 1.
        number: usize,
    },
    /// A variable has a name that the call itself gives a value.
    #[error("the variable `{name}` is set by the call itself")]
    Variable {
        /// The name.
        name: String,
    },
    /// The last message is to be continued and a new one begun.
    #[error("`continue_final_message` and `add_generation_prompt` exclude each other")]
    ContinueAndPrompt,
    /// The last message cannot be continued.
    #[error("the last message cannot be continued: {reason}")]
    Continue {
        /// Why.
        reason: String,
    },
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::NoInput,
            Self::Read { .. } => Exit::Io,
            Self::Variable { .. } | Self::ContinueAndPrompt => Exit::Usage,
            Self::NoTemplate { .. } => Exit::Config,
            _ => Exit::Data,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTemplate { .. } => Some(
                "it is not a model for conversations; if it is, put its template into `chat_template.jinja` there"
                    .to_owned(),
            ),
            Self::NoDefault { .. } => Some("name one of them `default`".to_owned()),
            Self::Template { .. } | Self::TooLong { .. } => Some(
                "the template came with the model; a file `chat_template.jinja` in its folder replaces it".to_owned(),
            ),
            Self::Refused { .. } => Some("change the messages so that they suit the model's template".to_owned()),
            Self::Empty => Some("give at least one message".to_owned()),
            Self::NoObject { .. } => Some("a message looks like {\"role\": \"user\", \"content\": \"...\"}".to_owned()),
            _ => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", printable(name))).collect::<Vec<_>>().join(", ")
}
