//! GGUF, the file format of ggml (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): what a file says about
//! itself, and where its tensors lie. What the names mean is the reader's concern.
//!
//! A file may be hostile. Whatever it claims, no more memory is asked for than a small multiple of the bytes that are
//! there, [`Header::LARGEST`] at most, and a header that is returned has tensors that lie in the file, apart from each
//! other. Tensors are not read here.
//!
//! Steps: `reader` takes numbers, texts and lists from the bytes; `value` is what a key may have; `tensor` are the places
//! of tensors; `header` puts them together and checks them.

mod error;
mod header;
mod reader;
mod tensor;
mod value;

pub use error::Error;
pub use header::{Header, Metadata};
pub use tensor::{TensorInfo, TensorType};
pub use value::{List, Value};
