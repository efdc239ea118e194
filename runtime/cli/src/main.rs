//! The `runtime` command.

mod ahead;
mod args;
mod commands;
mod failure;
mod generating;
mod input;
mod output;
mod progress;
mod project;
mod spare;
mod watch;

use std::process::ExitCode;

use args::{Args, Command, ModelCommand};
use clap::Parser;
use failure::Failure;
use runtime_diagnostics::Exit;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors, and go to stdout.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _closed = error.print();
            return exit.into();
        }
    };
    // What panics is a defect of this program; the panic itself has been printed by then.
    let result = std::panic::catch_unwind(|| run(args.command));
    result.unwrap_or(Ok(Exit::Internal)).unwrap_or_else(|failure| failure.report()).into()
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(options) => commands::run::run(&options),
        Command::Task(options) => commands::task::run(&options),
        Command::Generate(options) => commands::generate::run(&options),
        Command::Chat(options) => commands::chat::run(&options),
        Command::Validate(options) => commands::validate::run(&options),
        Command::Test(options) => commands::test::run(&options),
        Command::Verify(options) => commands::verify::run(&options),
        Command::Graph(options) => commands::graph::run(&options),
        Command::Devices => commands::devices::run(),
        Command::Plugin(command) => commands::plugin::run(&command),
        Command::Model(ModelCommand::Graph(options)) => commands::model::graph(&options),
        Command::Model(ModelCommand::Fetch(options)) => commands::model::fetch(&options),
        Command::Model(ModelCommand::Merge(options)) => commands::merge::run(&options),
    }
}
