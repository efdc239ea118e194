//! Why a file is not read.

use std::io;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// The file is of another format.
    #[error("it does not begin with `GGUF`")]
    Magic,
    /// The file is of a version that is not read.
    #[error("it is of version {version} of the format, and 2 and 3 are read")]
    Version {
        /// The version it says.
        version: u32,
    },
    /// The numbers are in the order of other processors.
    #[error("its numbers are in big-endian order")]
    BigEndian,
    /// The file ends before its header does.
    #[error("it ends in the middle of {what}, at byte {at}")]
    Cut {
        /// What was being read.
        what: &'static str,
        /// Where that began.
        at: u64,
    },
    /// The header is longer than any that is known.
    #[error("its header has more than {limit} bytes")]
    TooLarge {
        /// Bytes that it may have.
        limit: u64,
    },
    /// A list or a text is said to be longer than what follows.
    #[error("{what} at byte {at} is said to have {count} entries, which the rest of the file cannot hold")]
    Count {
        /// What it is.
        what: &'static str,
        /// Where its length stands.
        at: u64,
        /// What that says.
        count: u64,
    },
    /// A number stands for no type of values.
    #[error("the value at byte {at} is of the unknown type {id}")]
    ValueType {
        /// Where the type stands.
        at: u64,
        /// What it says.
        id: u32,
    },
    /// A list holds lists.
    #[error("the list at byte {at} holds lists")]
    Nested {
        /// Where the inner type stands.
        at: u64,
    },
    /// A text is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    Text {
        /// What it is.
        what: &'static str,
        /// Where it begins.
        at: u64,
    },
    /// A key or a tensor is there twice.
    #[error("{what} `{name}` is there twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// `general.alignment` is no power of two, or too large.
    #[error("its `general.alignment` is no power of two up to 65536")]
    Alignment,
    /// A tensor has dimensions that none can have.
    #[error("the tensor `{name}` has dimensions {dimensions:?}, {expected}")]
    Dimensions {
        /// The tensor.
        name: String,
        /// Its dimensions.
        dimensions: Vec<u64>,
        /// What they should be.
        expected: &'static str,
    },
    /// A tensor lies outside of the file, in another, or not where the alignment allows.
    #[error("the tensor `{name}` of {bytes} bytes at {offset} {wrong}")]
    Place {
        /// The tensor.
        name: String,
        /// Where it begins, from the start of the tensors' bytes.
        offset: u64,
        /// Its bytes.
        bytes: u64,
        /// What is wrong there.
        wrong: String,
    },
}
