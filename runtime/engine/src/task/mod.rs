//! Tasks over a loaded model: an input of named fields goes in, a JSON result in the form of the Hugging Face pipeline
//! comes out. One file for each task.

mod fields;

use std::time::Duration;

use serde_json::Value;

pub use fields::Fields;

/// What a task says of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskAnswer {
    /// In the form of the Hugging Face pipeline.
    pub result: Value,
    /// The time that the model spent on it.
    pub time: Duration,
    /// The tokens that it read.
    pub tokens: usize,
    /// Texts that were cut off, being longer than the model takes.
    pub truncated: usize,
}
