//! Why a model folder cannot be used.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain};
use runtime_graph::{Dim, GraphError, Refusal};

use crate::GgufError;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or unreadable.
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
    /// The weights come as a pickle.
    #[error("`{}` is a pickle, and loading a pickle runs the code in it", .path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// There are no weights at all.
    #[error("`{}` has neither `model.safetensors` nor `model.safetensors.index.json`, nor a GGUF file", .folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// A weights file has no header that can be understood.
    #[error("the header of `{}` is not that of a safetensors file", .path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A weights file is longer or shorter than its header says.
    #[error("`{}` has {found} bytes, and its header tells of {expected}", .path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A GGUF file is none, or is no model that can be run.
    #[error("`{}` cannot be used", .path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: GgufError,
    },
    /// A folder has several models in GGUF.
    #[error("`{}` has several GGUF files: {}", .folder.display(), names(.files))]
    SeveralGgufs {
        /// The folder.
        folder: PathBuf,
        /// The files.
        files: Vec<PathBuf>,
    },
    /// Git LFS has not put the file in its place.
    #[error("`{}` is a pointer of Git LFS, not the file itself", .path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A JSON file does not hold what it should.
    #[error("cannot understand `{}`", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The index of a sharded checkpoint names a file outside the folder.
    #[error("`{}` names the shard `{shard}`, which is outside of the folder", .path.display())]
    Shard {
        /// The index.
        path: PathBuf,
        /// What it names.
        shard: String,
    },
    /// A tensor is asked for that no file holds in a type that can be computed with.
    #[error("the checkpoint has no tensor `{name}` of type f32, f16 or bf16")]
    NoTensor {
        /// Its name.
        name: String,
    },
    /// A folder is no adapter.
    #[error("`{}` has no `adapter_config.json`", .folder.display())]
    NoAdapter {
        /// The folder.
        folder: PathBuf,
    },
    /// An adapter cannot be used.
    #[error("the adapter `{}` cannot be used: {reason}", .path.display())]
    Adapter {
        /// Its folder or file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An adapter does more than can be done beside a model's weights.
    #[error("the adapter `{}` cannot be one of several: {reason}", .path.display())]
    AdapterBeside {
        /// Its folder.
        path: PathBuf,
        /// What it does.
        reason: String,
    },
    /// A tensor cannot be merged.
    #[error("cannot merge `{name}`")]
    Merge {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A number is beyond half precision.
    #[error("`{name}` has the number {number}, which half precision cannot hold")]
    TooLargeForHalf {
        /// The tensor.
        name: String,
        /// The number.
        number: f32,
    },
    /// A GGUF file is to be merged into.
    #[error("`{}` is in GGUF, and an adapter is merged into safetensors", .path.display())]
    MergeGguf {
        /// The model.
        path: PathBuf,
    },
    /// A folder that is to be written is there already.
    #[error("`{}` is there already", .path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `config.json` is not what a configuration is.
    #[error("`{}` cannot be used", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// `tokenizer.json` cannot be loaded.
    #[error("`{}` cannot be used", .path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What the tokenizers library says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A text cannot be tokenized.
    #[error("the text cannot be tokenized")]
    Tokenize {
        /// What the tokenizers library says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Ids cannot be made a text again.
    #[error("the tokens cannot be made a text")]
    Detokenize {
        /// What the tokenizers library says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An argument of a call is not of its kind, or does not go together with others.
    #[error("the argument `{name}` is to be {expected}, and is {found}")]
    Argument {
        /// Its name.
        name: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Padding is asked for, and there is no token for it.
    #[error("the tokenizer has no padding token")]
    NoPadding,
    /// Padding would make sequences longer than any model takes.
    #[error("sequences are to be padded to more than {most} tokens")]
    PaddedLength {
        /// Tokens that they may have.
        most: usize,
    },
    /// Tokenizer and model are of different models.
    #[error("the tokenizer in `{}` has ids up to {highest}, but the model's {table} is {rows}", .folder.display())]
    Vocabulary {
        /// The folder.
        folder: PathBuf,
        /// The tokenizer's highest id.
        highest: u32,
        /// What says how many ids the model has: its `vocab_size`, or the length of the table they are looked up in.
        table: &'static str,
        /// How many.
        rows: u32,
    },
    /// The tokenizer tells more kinds of texts apart than the model.
    #[error("the tokenizer in `{}` gives token types up to {highest}, but the model has {rows}", .folder.display())]
    TokenTypes {
        /// The folder.
        folder: PathBuf,
        /// The tokenizer's highest type.
        highest: u32,
        /// Rows of the table of types.
        rows: u32,
    },
    /// The configuration allows longer sequences than there are positions for.
    #[error("the model in `{}` is to take {max_sequence} tokens, but has positions for {rows}", .folder.display())]
    Positions {
        /// The folder.
        folder: PathBuf,
        /// Tokens of the longest sequence, as the configuration says.
        max_sequence: u32,
        /// Rows of the table of positions.
        rows: u32,
    },
    /// The labels of the configuration are not as many as the classifier has outputs.
    #[error("the model in `{}` scores {outputs} labels, but its `id2label` names {labels}", .folder.display())]
    Labels {
        /// The folder.
        folder: PathBuf,
        /// Outputs of the classifier.
        outputs: u32,
        /// Labels in the configuration.
        labels: usize,
    },
    /// A label is of a class that the classifier does not have.
    #[error("the model in `{}` scores {outputs} labels, but its `label2id` has `{label}` = {id}", .folder.display())]
    NoClass {
        /// The folder.
        folder: PathBuf,
        /// The label.
        label: String,
        /// Its class.
        id: usize,
        /// Outputs of the classifier.
        outputs: u32,
    },
    /// The configuration names an architecture that is not there, in Python.
    #[error("the model in `{}` wants to run its own Python code (`auto_map` in config.json), which is never run", .folder.display())]
    RemoteCode {
        /// The folder.
        folder: PathBuf,
    },
    /// Nothing describes this kind of model.
    #[error("there is no architecture for the `model_type` `{model_type}` of `{}`", .folder.display())]
    NoArchitecture {
        /// The folder.
        folder: PathBuf,
        /// What `config.json` says.
        model_type: String,
        /// What is built in.
        known: Vec<&'static str>,
    },
    /// The architecture does not have the head that the task needs.
    #[error("the architecture `{architecture}` has no head for {head}")]
    NoHead {
        /// The architecture.
        architecture: String,
        /// The head.
        head: &'static str,
    },
    /// The architecture refuses the configuration.
    #[error("the architecture `{architecture}` cannot serve the model in `{}`", .folder.display())]
    Refused {
        /// The architecture.
        architecture: String,
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The architecture and the checkpoint do not fit.
    #[error("the graph of `{}` cannot be built", .folder.display())]
    Graph {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: GraphError,
    },
    /// A plugin failed to describe the model.
    #[error("the plugin cannot describe the model in `{}`", .folder.display())]
    Plugin {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The graph lacks the output that its head must have, or it has another shape.
    #[error("the graph that `{architecture}` built has no output `{output}` of the shape [{rows}, width]")]
    NoOutput {
        /// The architecture.
        architecture: String,
        /// The output.
        output: &'static str,
        /// What its rows should be of.
        rows: Dim,
    },
    /// The graph cannot be compiled for the device.
    #[error("the model in `{}` cannot be loaded", .folder.display())]
    Compile {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: runtime_tensor::Error,
    },
}

/// The names of files, of many only the first.
fn names(files: &[PathBuf]) -> String {
    const MOST: usize = 5;
    let mut names: Vec<String> =
        files.iter().take(MOST).map(|file| format!("`{}`", file.file_name().unwrap_or_default().display())).collect();
    if files.len() > MOST {
        names.push("...".to_owned());
    }
    names.join(", ")
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::NoInput,
            // Not UTF-8, or no file at all.
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => Exit::Config,
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::InvalidInput => Exit::Config,
            Self::Read { .. } | Self::Write { .. } => Exit::Io,
            Self::Exists { .. } | Self::MergeGguf { .. } => Exit::Usage,
            Self::Tokenize { .. } | Self::Detokenize { .. } | Self::Argument { .. } | Self::PaddedLength { .. } => {
                Exit::Data
            }
            _ => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Pickle { .. } => Some(
                "convert it where you trust its source: load it in Python and save it with \
                 `save_pretrained(..., safe_serialization=True)`"
                    .to_owned(),
            ),
            Self::NoArchitecture { known, .. } => Some(format!(
                "built in: {}; others come as a plugin: put its `{}` beside `config.json`, or name it with `plugin` in \
                 the pipeline",
                known.join(", "),
                crate::PLUGIN_FILE
            )),
            Self::RemoteCode { .. } => Some(format!(
                "ask its author for a sandboxed plugin, `{}`, beside `config.json`; or name one with `plugin` in the \
                 pipeline or `--plugin`; plugins/PORTING.md is how such Python becomes one",
                crate::PLUGIN_FILE
            )),
            Self::AdapterBeside { .. } => Some(
                "give it a model of its own: `--adapter FOLDER`, or `adapter = \"FOLDER\"` in a `[models.NAME]`"
                    .to_owned(),
            ),
            Self::Exists { .. } => Some("name a new folder: nothing is overwritten".to_owned()),
            Self::MergeGguf { .. } => Some(
                "`--adapter` puts it on a GGUF at run time; to merge, take the model that the file was made of"
                    .to_owned(),
            ),
            Self::TooLargeForHalf { .. } => Some("bf16 can: `--dtype bf16`".to_owned()),
            Self::Vocabulary { .. } => Some("config.json and tokenizer.json are of different models".to_owned()),
            Self::Gguf { source, .. } => source.hint(),
            Self::SeveralGgufs { .. } => Some("name one of them instead of the folder".to_owned()),
            Self::Compile { source: runtime_tensor::Error::NoRoom { .. }, .. } => Some(
                "the processor can take the layers that are left: name `cpu` as the last device; `--dtype bf16` halves weights \
                 stored in f32"
                    .to_owned(),
            ),
            Self::Compile { source: runtime_tensor::Error::UnknownMemory { .. }, .. } => Some(
                "for example `wgpu:0=0-15,cpu=16-29`; `runtime model graph` shows the layers of a model".to_owned(),
            ),
            Self::NoPadding => Some("`pad_token` in tokenizer_config.json names it".to_owned()),
            Self::Cut { .. } => Some("the download was cut off, or the file is still being written".to_owned()),
            Self::LfsPointer { .. } => Some("`git lfs pull` in its repository fetches it".to_owned()),
            _ => None,
        }
    }
}
