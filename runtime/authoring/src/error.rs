//! What can go wrong between an author and a plugin.

use std::io;
use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain};

/// Why a folder was not written, a component not built, or an architecture not compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be the name of a plugin.
    #[error("`{name}` is no name for a plugin: a name {reason}")]
    Name {
        /// As it was given.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// There is something at that place.
    #[error("`{}` is there already", folder.display())]
    Exists {
        /// What was to be written.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No folder of a crate.
    #[error("`{}` has no Cargo.toml", folder.display())]
    NoCrate {
        /// The folder.
        folder: PathBuf,
    },
    /// Cargo or rustc cannot be started.
    #[error("cannot start `{program}`")]
    NoToolchain {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The standard library for components is not installed.
    #[error("Rust has no standard library for {target} here")]
    NoTarget {
        /// The name of the target.
        target: &'static str,
    },
    /// Cargo has said why.
    #[error("cargo did not build `{}`", folder.display())]
    Build {
        /// The folder.
        folder: PathBuf,
    },
    /// The crate is no `cdylib`.
    #[error("`{}` was built, and gives no component", folder.display())]
    NoComponent {
        /// The folder.
        folder: PathBuf,
    },
    /// Loading, or recording the graph, failed.
    #[error(transparent)]
    Engine(#[from] runtime_engine::Error),
    /// The model's files are not as they should be.
    #[error(transparent)]
    Model(#[from] runtime_models::Error),
    /// Compiling or running the graph failed.
    #[error("cannot run the graph of `{}`", folder.display())]
    Run {
        /// The model's folder.
        folder: PathBuf,
        /// Why.
        source: runtime_tensor::Error,
    },
    /// The reference cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadReference {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The reference is no safetensors file with what the recorder writes.
    #[error("`{}` is no recorded reference: {reason}", path.display())]
    Reference {
        /// Its path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nothing of the reference has a name of the graph's.
    #[error("none of the {recorded} activations in `{}` is one of the graph's", path.display())]
    NothingInCommon {
        /// The reference.
        path: PathBuf,
        /// How many it has.
        recorded: usize,
        /// Two of its names.
        theirs: String,
        /// Two of the graph's.
        ours: String,
    },
    /// What is kept of a text between runs has no room.
    #[error(transparent)]
    Keep(#[from] runtime_tensor::CacheFull),
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Name { .. } | Self::Exists { .. } => Exit::Usage,
            Self::Write { .. } => Exit::Io,
            Self::NoCrate { .. } => Exit::NoInput,
            Self::NoToolchain { .. } | Self::NoTarget { .. } => Exit::Unavailable,
            Self::Build { .. } => Exit::Failed,
            Self::NoComponent { .. } | Self::Reference { .. } | Self::NothingInCommon { .. } => Exit::Data,
            Self::Engine(error) => error.exit(),
            Self::Model(error) => error.exit(),
            Self::Run { .. } => Exit::Data,
            Self::Keep(_) => Exit::Internal,
            Self::ReadReference { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NoInput,
            Self::ReadReference { .. } => Exit::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Exists { .. } => "give another name, or remove the folder first",
            Self::NoCrate { .. } => {
                "name the folder of a plugin in Rust, such as `runtime plugin new` writes; components of other languages are \
                 built by their own tools"
            }
            Self::NoToolchain { .. } => "install Rust, from https://rustup.rs",
            Self::NoTarget { target } => return Some(format!("run `rustup target add {target}`")),
            Self::NoComponent { .. } => "write `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml",
            Self::Reference { .. } => "`runtime plugin new` writes record.py, which records one",
            Self::NothingInCommon { theirs, ours, .. } => {
                return Some(format!("the reference has {theirs}, and the graph {ours}: is it of another model?"));
            }
            Self::Engine(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
