//! `runtime chat`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Generated, ModelArgs};

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) how: Generated,
    /// The system message
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// A conversation to go on with, as `/save` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) load: Option<PathBuf>,
}

const AFTER: &str = "Each line is a message; `/help` lists the commands. Ctrl-C stops an answer, Ctrl-D leaves. Standard \
                     input that is no terminal is read line by line, and only answers go to standard output.";
