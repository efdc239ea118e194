//! Plugins that see records: what they are granted, and the steps that they are.

mod build;
mod record;
mod runner;
mod texts;
mod writing;

pub use build::check_all;
pub(crate) use build::{declared, files, load, runner};
pub(crate) use runner::PluginRunner;
