//! One file for each command.

pub(crate) mod chat;
pub(crate) mod devices;
pub(crate) mod generate;
pub(crate) mod graph;
pub(crate) mod merge;
pub(crate) mod model;
pub(crate) mod plugin;
pub(crate) mod run;
pub(crate) mod task;
pub(crate) mod test;
pub(crate) mod validate;
pub(crate) mod verify;
