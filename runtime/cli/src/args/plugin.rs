//! `runtime plugin`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use runtime_engine::World;
use runtime_graph::Head;

use super::parse_head;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Write a folder to begin a plugin with, which builds as it is
    New(PluginNew),
    /// Build a plugin's folder into a component
    Build(PluginBuild),
    /// Run an architecture, and compare it with its original in Python, activation by activation
    Check(PluginCheck),
    /// Show what a plugin is, what it says of itself and what it is denied
    Inspect(PluginInspect),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PluginNew {
    /// Its name, which is that of the new folder as well; for an architecture best the `model_type`
    pub(crate) name: String,
    /// What it is to be: `architecture`, `step` or `logits-processor`
    #[arg(long, default_value = World::Architecture.name(), value_parser = parse_world)]
    pub(crate) world: World,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PluginBuild {
    /// The folder of its Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PluginCheck {
    /// The component: a file, `org/name:FILE` of the hub, or `oci://REGISTRY/NAME:TAG` [default: that of the model's
    /// folder, or the built-in architecture]
    pub(crate) plugin: Option<PathBuf>,
    /// A model that it describes: `./folder`, `./file.gguf` or `org/name[@revision]`
    #[arg(long)]
    pub(crate) model: String,
    /// What record.py, of a new architecture's folder, has recorded of the original
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// The head to build [default: that of the recorded class, or the one that config.json is for]
    #[arg(long, value_parser = parse_head)]
    pub(crate) head: Option<Head>,
    /// The text to run where nothing was recorded
    #[arg(long, default_value = "The quick brown fox jumps over the lazy dog.")]
    pub(crate) text: String,
    /// How far numbers may be apart, over the largest magnitude in the original's tensor
    #[arg(long, default_value_t = 1e-4, value_name = "ERROR", value_parser = parse_tolerance)]
    pub(crate) tolerance: f64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PluginInspect {
    /// The component: a file, `org/name:FILE` of the hub, or `oci://REGISTRY/NAME:TAG`, which is asked for anew
    pub(crate) plugin: PathBuf,
}

fn parse_world(name: &str) -> Result<World, String> {
    let known = || World::ALL.map(World::name).join(", ");
    World::ALL.into_iter().find(|world| world.name() == name).ok_or_else(|| format!("it can be {}", known()))
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "it is a number, 0 or more, such as 1e-4".to_owned())
}
