//! Why the files of sentence-transformers cannot be followed.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain, nearest};

/// A failure to follow them.
#[derive(Debug, thiserror::Error)]
pub enum SentenceError {
    /// A field is absent, of the wrong type, or has a value that is not supported.
    #[error("`{field}` in `{}` is {found}, not {expected}", .path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// A module that is not known.
    #[error("`{}` asks for the module `{module}`, which is not supported", .path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// Its class.
        module: String,
    },
    /// The modules do not make a vector of a text.
    #[error("the modules in `{}` {wrong}", .path.display())]
    Order {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        wrong: &'static str,
    },
    /// A module's folder is none inside the model's.
    #[error("`{}` names the folder `{folder}`, which is outside of the model's", .path.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// What it names.
        folder: String,
    },
    /// A layer that takes vectors of another size.
    #[error("the layer in `{}` takes {expected} numbers, and is given {found}", .folder.display())]
    Width {
        /// Its folder.
        folder: PathBuf,
        /// What it takes.
        expected: usize,
        /// What it is given.
        found: usize,
    },
    /// The weights of a layer cannot be had.
    #[error("the weights of the layer in `{}` cannot be used", .folder.display())]
    Weights {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A prompt that the model does not have.
    #[error("the model has no prompt `{name}`")]
    Prompt {
        /// The name.
        name: String,
        /// Those it has.
        has: Vec<String>,
    },
    /// Rerankers score with one number.
    #[error("the model scores {labels} labels, and documents are ordered by a single score")]
    Labels {
        /// How many.
        labels: usize,
    },
    /// More numbers are to be kept than there are.
    #[error("`truncate_dim` is {asked}, and the vectors have {width} numbers")]
    TruncateDim {
        /// Numbers to keep.
        asked: usize,
        /// Numbers there are.
        width: usize,
    },
}

impl Explain for SentenceError {
    fn exit(&self) -> Exit {
        match self {
            Self::Prompt { .. } | Self::TruncateDim { .. } => Exit::Usage,
            _ => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Module { .. } => Some(
                "supported are Transformer, Pooling, Dense, Normalize and Dropout of sentence_transformers".to_owned(),
            ),
            Self::Prompt { has, .. } if has.is_empty() => {
                Some("it has none; give the text itself with `prompt`".to_owned())
            }
            Self::Prompt { name, has } => Some(match nearest(name, has.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("it has {}", has.join(", ")),
            }),
            Self::Labels { .. } => Some("text-classification gives all of its scores for a pair of texts".to_owned()),
            _ => None,
        }
    }
}
