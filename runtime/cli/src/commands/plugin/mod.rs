//! `runtime plugin`: beginning, building, checking and looking at plugins.

mod check;
mod inspect;

use std::path::Path;

use runtime_authoring::scaffold;
use runtime_diagnostics::{Exit, Problem};
use runtime_engine::World;

use crate::args::{PluginCommand, PluginNew};
use crate::failure::Failure;
use crate::output::{print, say};

pub(crate) fn run(command: &PluginCommand) -> Result<Exit, Failure> {
    match command {
        PluginCommand::New(options) => new(options),
        PluginCommand::Build(options) => build(&options.folder),
        PluginCommand::Check(options) => check::run(options),
        PluginCommand::Inspect(options) => inspect::inspect(&options.plugin),
    }
}

fn new(options: &PluginNew) -> Result<Exit, Failure> {
    let PluginNew { name, world } = options;
    let written = scaffold(Path::new(""), name, *world).map_err(|error| Problem::of(&error))?;
    let mut text = format!("{name}/\n");
    for file in &written.files {
        text.push_str(&format!("  {}\n", file.display()));
    }
    text.push_str("  runtime-sdk/      what it is written with\n");
    let then = match world {
        World::Architecture => "`runtime plugin check` compares it with the original; the README says how",
        World::Step => "`runtime run pipeline.toml` there runs it",
        World::LogitsProcessor => "the README says how a pipeline uses it",
    };
    text.push_str(&format!("Next: `runtime plugin build {name}` builds it, and {then}.\n"));
    print(&text)
}

/// Prints what was built as `inspect` does, below its path.
fn build(folder: &Path) -> Result<Exit, Failure> {
    let built = runtime_authoring::build(folder).map_err(|error| Problem::of(&error))?;
    say(&format!("{}\n", built.file.display()));
    inspect::inspect(&built.file)
}
