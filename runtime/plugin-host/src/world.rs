//! What plugins can be.

use std::fmt;

/// What a plugin is, as `wit/v0.1/world.wit` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// It describes how models are wired.
    Architecture,
    /// It is a step of pipelines.
    Step,
    /// It changes the scores of the next token.
    LogitsProcessor,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Architecture, Self::Step, Self::LogitsProcessor];

    /// As the interface calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Architecture => "architecture",
            Self::Step => "step",
            Self::LogitsProcessor => "logits-processor",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
