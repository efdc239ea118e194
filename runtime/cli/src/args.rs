//! The command line.

mod adapter;
mod chat;
mod generate;
mod merge;
mod plugin;
mod task;

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use runtime_graph::Head;
use runtime_pipeline::Override;
use runtime_tasks::Placement;

pub(crate) use adapter::AdapterArgs;
pub(crate) use chat::Chat;
pub(crate) use generate::{Generate, Generated, GeneratedFormat, LogitsProcessorArg, ModelArgs};
pub(crate) use merge::ModelMerge;
pub(crate) use plugin::{PluginCheck, PluginCommand, PluginNew};
pub(crate) use task::{Param, Task, flag_of};

/// Runs pretrained transformers: pipelines from TOML files, architectures from sandboxed plugins.
#[derive(Debug, Parser)]
#[command(name = "runtime", version, about, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all went well; 1 a test or a recorded case failed; 64 wrong usage; 65 wrong data, in part \
                          or in whole; 66 no such input; 69 a model cannot be had; 70 internal error; 74 reading or \
                          writing failed; 78 wrong pipeline or model configuration; 130 ended by Ctrl-C.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer every record of an input with a pipeline
    Run(Run),
    /// Do one task with one model: classify, embed, extract, answer
    Task(Box<Task>),
    /// Go on from a text with a language model, or answer it
    Generate(Box<Generate>),
    /// Talk with a language model
    Chat(Box<Chat>),
    /// Check pipeline files without loading a model
    Validate(Validate),
    /// Run the tests that pipeline files carry
    Test(Test),
    /// Draw a pipeline
    Graph(Graph),
    /// Compare this program with recorded results of Hugging Face transformers
    Verify(Verify),
    /// List the devices that models can run on
    Devices,
    /// Look at models, and download them
    #[command(subcommand)]
    Model(ModelCommand),
    /// Begin, build, check and look at plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// A pipeline, as several commands take it.
#[derive(Debug, ClapArgs)]
pub(crate) struct PipelineArgs {
    /// The pipeline's TOML file
    pub(crate) pipeline: PathBuf,
    /// Change a value of the pipeline, such as `threshold=0.6` or `steps.triage.rungs.zero-shot.multi_label=true`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Override>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// The records: JSON Lines, or CSV by its ending; `-` is standard input [default: the pipeline's example]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where the answers go; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// How they are written [default: a table on a terminal, CSV to a file of that ending, else JSON Lines]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Answer the first N records only
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    /// Stay, and answer anew when the pipeline or a file that it names has changed
    #[arg(long)]
    pub(crate) watch: bool,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns, or what a task found in its text
    Table,
    /// A JSON object on each line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

impl Format {
    /// The form of a file, by the ending of its name.
    pub(crate) fn of_file(path: &Path) -> Self {
        let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if csv { Self::Csv } else { Self::Jsonl }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Validate {
    /// The pipelines' TOML files
    #[arg(required = true, value_name = "PIPELINE")]
    pub(crate) pipelines: Vec<PathBuf>,
    /// Change a value of each pipeline first
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Override>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// The language of the drawing
    #[arg(long, default_value = "mermaid")]
    pub(crate) format: GraphFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// A folder of recorded cases, as `tests/record.py` writes it
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only the cases of these tasks
    #[arg(long, value_name = "TASK,...", value_delimiter = ',')]
    pub(crate) task: Vec<String>,
    /// Only the cases of these models, by the names of their folders
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// Where models run.
#[derive(Debug, ClapArgs)]
pub(crate) struct DeviceArg {
    /// Where models run: `cpu`, `wgpu[:N]` (a GPU over Vulkan, Metal or DirectX 12; see `runtime devices`), `metal`,
    /// `cuda[:N]` (where it is built in), or `auto` (a GPU where there is one). Several share the layers: `wgpu:0,cpu`, or
    /// `wgpu:0=0-15,cpu=16-29`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: Placement,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Print a model's graph of operators
    Graph(ModelGraph),
    /// Download a model into the cache
    Fetch(ModelFetch),
    /// Write a model's checkpoint with a LoRA adapter merged into it
    Merge(ModelMerge),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelGraph {
    /// `./folder`, `./file.gguf` or `org/name[@revision]`
    pub(crate) model: String,
    /// The head to build [default: the one that config.json is for]
    #[arg(long, value_parser = parse_head)]
    pub(crate) head: Option<Head>,
    /// A plugin that describes the model, instead of a built-in architecture: a file, `org/name:FILE` of the hub, or
    /// `oci://REGISTRY/NAME:TAG`
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelFetch {
    /// `org/name[@revision]`
    pub(crate) model: String,
}

pub(crate) fn parse_head(name: &str) -> Result<Head, String> {
    let known = || Head::ALL.map(Head::name).join(", ");
    Head::ALL.into_iter().find(|head| head.name() == name).ok_or_else(|| format!("it can be {}", known()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
