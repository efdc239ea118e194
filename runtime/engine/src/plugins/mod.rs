//! Plugins that see records: what they are granted, and the steps that they are.

mod build;
pub(crate) mod loading;
mod record;
mod runner;
mod scores;
mod texts;
mod writing;

pub use build::check_all;
pub(crate) use build::{declared, files, granted, load, runner};
pub(crate) use runner::PluginRunner;
pub(crate) use scores::Acting;
pub use scores::LogitsProcessor;
