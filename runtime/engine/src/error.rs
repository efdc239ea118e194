//! Why a model cannot be loaded or asked.

use std::path::PathBuf;

use runtime_diagnostics::{Exit, Explain};

use crate::scheduler::ScheduleError;

/// A failure of the engine, most of them another crate's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model's name has no known form.
    #[error(transparent)]
    Source(#[from] runtime_hub::SourceError),
    /// The model cannot be had.
    #[error(transparent)]
    Hub(#[from] runtime_hub::Error),
    /// The model's folder cannot be used.
    #[error(transparent)]
    Model(#[from] runtime_models::Error),
    /// A plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] runtime_plugin_host::Error),
    /// A plugin is for other models.
    #[error("the plugin `{}` is for {}, and the model is a `{model_type}`", .plugin.display(), .serves.join(", "))]
    OtherModel {
        /// The plugin's file.
        plugin: PathBuf,
        /// The model types it is for.
        serves: Vec<String>,
        /// The model's.
        model_type: String,
    },
    /// The model was asked, but did not answer.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A classifier without labels.
    #[error("there is no label to choose from")]
    NoLabels,
    /// The model's scores are infinite or no numbers at all.
    #[error("the model gives {score} instead of a score, so that its weights must be damaged")]
    NoNumber {
        /// What it gives.
        score: f32,
    },
    /// A hypothesis leaves no place for the text.
    #[error("the hypothesis for the label `{label}` alone fills the {limit} tokens that the model takes")]
    HypothesisTooLong {
        /// The label.
        label: String,
        /// Tokens.
        limit: usize,
    },
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Source(error) => error.exit(),
            Self::Hub(error) => error.exit(),
            Self::Model(error) => error.exit(),
            Self::Plugin(error) => error.exit(),
            Self::Schedule(_) => Exit::Internal,
            Self::OtherModel { .. } | Self::NoNumber { .. } | Self::NoLabels | Self::HypothesisTooLong { .. } => {
                Exit::Config
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Hub(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Plugin(error) => error.hint(),
            _ => None,
        }
    }
}
