//! `runtime plugin inspect`.

use std::path::Path;

use runtime_diagnostics::Exit;
use runtime_engine::{Described, Inspection, Options, Registry, Slot, World};

use crate::failure::Failure;
use crate::generating::aside;
use crate::output::{named, print};

pub(crate) fn inspect(plugin: &Path) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { tell: aside, progress: true, ..Options::default() });
    let (path, pinned) = registry.latest_plugin(plugin)?;
    let inspection = registry.inspect_plugin(&path)?;
    let pinned = pinned.map(|pinned| named(WIDTH, "source", &pinned.to_string()));
    print(&(text(&inspection) + pinned.as_deref().unwrap_or_default()))
}

/// The columns of names.
const WIDTH: usize = 12;

fn text(inspection: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&named(WIDTH, name, value));
    let (name, version) = match &inspection.described {
        Described::Architecture(described) => (&described.name, &described.version),
        Described::Step(described) => (&described.name, &described.version),
        Described::LogitsProcessor(described) => (&described.name, &described.version),
    };
    line("plugin", &format!("{name} {version}"));
    line("world", &format!("{} of inference:runtime@0.1", inspection.world));
    line("size", &format!("{} bytes", inspection.size));
    line("sha256", &inspection.digest);
    match &inspection.described {
        Described::Architecture(described) => {
            line("model types", &described.model_types.join(", "));
            let heads: Vec<&str> = described.heads.iter().map(|head| head.name()).collect();
            line("heads", &heads.join(", "));
        }
        Described::Step(described) => {
            line("does", &described.summary);
            slots(&mut line, "reads", &described.inputs);
            slots(&mut line, "gives", &described.outputs);
            slots(&mut line, "set up with", &described.parameters);
            for (index, need) in described.models.iter().enumerate() {
                let optional = if need.required { "" } else { ", if granted" };
                line(if index == 0 { "asks" } else { "" }, &format!("{}: {}{optional}", need.name, need.task));
            }
            for (index, need) in described.tokenizers.iter().enumerate() {
                let optional = if need.required { "" } else { ", if granted" };
                line(if index == 0 { "tokenizers" } else { "" }, &format!("{}{optional}", need.name));
            }
        }
        Described::LogitsProcessor(described) => {
            line("does", &described.summary);
            slots(&mut line, "set up with", &described.parameters);
        }
    }
    line("imports", &listed(&inspection.imports));
    line("exports", &listed(&inspection.exports));
    let denied = match inspection.denied.len() {
        0 => "nothing: it imports nothing of WASI".to_owned(),
        count => format!("{count} interfaces of WASI, among them files, network, clock, environment"),
    };
    line("denied", &denied);
    let may = match inspection.world {
        World::Architecture => "record a graph while a model loads; it never sees weights' numbers, texts or results",
        World::Step => "read and give fields of records, and call what the pipeline file grants",
        World::LogitsProcessor => "change scores, and call the model's tokenizer",
    };
    line("may", may);
    text
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn slots(line: &mut impl FnMut(&str, &str), name: &str, slots: &[Slot]) {
    for (index, slot) in slots.iter().enumerate() {
        let optional = if slot.required { "" } else { ", optional" };
        let summary = if slot.summary.is_empty() { String::new() } else { format!(": {}", slot.summary) };
        line(if index == 0 { name } else { "" }, &format!("{} ({}{optional}){summary}", slot.name, slot.kind));
    }
}
