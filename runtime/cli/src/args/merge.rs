//! `runtime model merge`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use runtime_graph::DType;

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelMerge {
    /// The model: `./folder` or `org/name[@revision]`
    #[arg(long)]
    pub(crate) model: String,
    /// The folder of a LoRA adapter for the model
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: PathBuf,
    /// How weights are stored [default: each as it is in the model]
    #[arg(long, value_name = "TYPE")]
    pub(crate) dtype: Option<StoredAs>,
    /// The folder to write, which must not be there yet
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoredAs {
    /// Single precision
    F32,
    /// Half precision
    F16,
    /// The upper half of single precision
    Bf16,
}

impl From<StoredAs> for DType {
    fn from(stored: StoredAs) -> Self {
        match stored {
            StoredAs::F32 => Self::F32,
            StoredAs::F16 => Self::F16,
            StoredAs::Bf16 => Self::BF16,
        }
    }
}
