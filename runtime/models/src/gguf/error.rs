//! Why a GGUF file is no model that can be run.

use std::path::PathBuf;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It cannot be read as GGUF.
    #[error(transparent)]
    File(#[from] runtime_gguf::Error),
    /// A key is not there.
    #[error("it has no `{key}`")]
    Missing {
        /// The key.
        key: String,
    },
    /// A key has a value of another kind.
    #[error("its `{key}` is {found}, and should be {expected}")]
    Wrong {
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A key has a value that nothing here is for.
    #[error("its `{key}` is `{value}`, which is not supported")]
    Unsupported {
        /// The key.
        key: String,
        /// What it is.
        value: String,
        /// What it may be.
        supported: String,
    },
    /// A tensor is not there.
    #[error("it has no tensor `{name}`")]
    NoTensor {
        /// Its name in the file.
        name: String,
    },
    /// A tensor has a shape that does not fit the keys.
    #[error("its tensor `{name}` has the shape {shape:?}, {expected}")]
    Shape {
        /// Its name in the file.
        name: String,
        /// Its sizes, the rows first.
        shape: Vec<usize>,
        /// What would fit.
        expected: &'static str,
    },
    /// A part of a model in several files does not say that it is one, or another one.
    #[error("it is to be part {part} of {parts}, and {found}")]
    Split {
        /// Which part it is by its name, from 1.
        part: u64,
        /// How many there are.
        parts: u64,
        /// What it says.
        found: String,
    },
    /// A part of a model in several files is not named as one.
    #[error("it is one of {parts} parts, but is not named `...-00001-of-{parts:05}.gguf` or so")]
    PartName {
        /// How many there are.
        parts: u64,
    },
    /// A tensor is in several parts.
    #[error("the tensor `{name}` is also in `{}`", .other.display())]
    TwoParts {
        /// Its name.
        name: String,
        /// The part before.
        other: PathBuf,
    },
}

impl GgufError {
    pub(crate) fn hint(&self) -> Option<String> {
        use runtime_gguf::Error as File;
        match self {
            Self::File(File::Cut { .. } | File::Count { .. } | File::Place { .. }) => {
                Some("the download was cut off, the file is still being written, or it is damaged".to_owned())
            }
            Self::File(File::Version { .. } | File::BigEndian) => {
                Some("convert the model again with a current `convert_hf_to_gguf.py` of llama.cpp".to_owned())
            }
            Self::File(File::Magic) => Some("a GGUF file is expected by the ending of its name".to_owned()),
            Self::Unsupported { supported, .. } => Some(supported.clone()),
            Self::Split { .. } => Some("the parts of one model are to be in one folder, all from one split".to_owned()),
            Self::PartName { .. } => Some("give the parts the names that llama.cpp gave them".to_owned()),
            _ => None,
        }
    }
}
