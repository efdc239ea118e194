//! Where models come from: a folder, a GGUF file, or a repository of the Hugging Face hub through its cache; and where
//! plugins come from, which may be in an OCI registry too.
//!
//! A [`ModelSource`] is what a pipeline or the command line writes. [`Hub::resolve`] turns it into a folder that
//! holds `config.json`, `tokenizer.json` and `model.safetensors` (or an index and its shards), downloading what is
//! absent unless told to stay [offline](Settings::offline). The cache is the one that `huggingface_hub` for Python
//! keeps, laid out alike and found by the same environment variables, so that both share their downloads.
//!
//! Left out: reading the files (`runtime-models` does), GGUF-only repositories, uploads, looking for newer commits
//! of a model that is already complete, and every file that could carry code outside the sandbox: pickled weights
//! and Python are never downloaded.

mod cache;
mod error;
mod hub;
mod oci;
mod plan;
mod plugin;
mod remote;
mod settings;
mod source;

pub use error::Error;
pub use hub::Hub;
pub use oci::{Digest, OciError, OciReference};
pub use plugin::PluginSource;
pub use settings::Settings;
pub use source::{ModelSource, Repo, SourceError};
