//! The tasks: their names, the fields that they read and put out, and their parameters with defaults and checks.
//!
//! The parameters are those of the Hugging Face pipelines. They come from a command line, a pipeline file or a recorded
//! case as JSON values, and are read here once for all three. Nothing is computed here and no model is known.

mod device;
mod dtype;
mod inputs;
mod kind;
mod options;
mod outputs;
mod params;
mod placement;

pub use device::{DeviceName, UnknownDevice};
pub use dtype::Dtype;
pub use inputs::{InputType, TaskInput};
pub use kind::TaskKind;
pub use options::{
    Aggregation, Embedding, FillMask, Function, Generation, Pooling, QuestionAnswering, Rerank, TaskOptions,
    TextClassification, TextToText, TokenClassification, TopK, Translation, ZeroShot,
};
pub use outputs::{OutputType, TaskOutput};
pub use params::{ParamError, Params, split_labels};
pub use placement::{Placement, WrongPlacement};
