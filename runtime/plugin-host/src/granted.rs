//! What a pipeline grants a plugin of memory, time and the log.

use std::time::Duration;

use crate::error::Cause;
use crate::{Error, Limits, text};

/// What a plugin that sees records may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Bytes of memory of each instance.
    pub memory: usize,
    /// The time that it may compute in each call; what it waits for models does not count.
    pub time: Duration,
    /// Whether what it says may be shown: it may hold the text of a record.
    pub log_text: bool,
    /// Whether a pipeline file grants it, where more could be granted.
    pub by_pipeline: bool,
}

impl Granted {
    pub(crate) fn limits(&self, limits: &Limits) -> Limits {
        Limits { memory: self.memory, deadline: self.time, ..*limits }
    }

    /// What the plugin said, if that may be shown.
    pub(crate) fn said(&self, text: &str) -> Option<String> {
        self.log_text.then(|| text::printable(text))
    }

    /// The same error without what the plugin said, unless that may be shown; it knows whether more could be granted.
    pub(crate) fn withhold(&self, error: Error) -> Error {
        match error {
            Error::Trap { mut site, cause } => {
                site.is_granted = self.by_pipeline;
                let is_withheld = !self.log_text && matches!(cause, Cause::Panic { .. });
                Error::Trap { site, cause: if is_withheld { Cause::Panic { message: None } } else { cause } }
            }
            other => other,
        }
    }
}
