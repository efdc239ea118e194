//! The tree becomes a [`Pipeline`], and every problem on the way is kept.
//!
//! A reader returns `None` where it has reported a problem; its caller goes on with the rest. Order matters: models
//! are read before the steps that name them, steps before the outputs and tests that refer to them, so that a
//! reference is checked where it stands, with its place at hand.

mod context;
mod endpoint;
mod fields;
mod generate;
mod output;
mod plugin;
mod rungs;
mod steps;
mod task;
mod tests;
mod values;

use std::path::PathBuf;

use runtime_diagnostics::Problems;

use crate::name::Name;
use crate::pipeline::{Endpoint, Input, Model, Pipeline};
use crate::spanned::Spanned;
use crate::tree::{Entry, Node};

use context::Context;
use fields::Fields;

/// The keys of the file's top level, for overrides: a new path must begin with one of them.
pub(crate) const TOP_LEVEL: [&str; 8] =
    ["name", "description", "input", "models", "plugins", "steps", "output", "tests"];

/// What becomes of `[[tests]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tests {
    Read,
    PassedOver,
}

/// Reads the tree of a file in which `problems` have been found. In a `partial` tree, recovered from a syntax error,
/// nothing is reported for being absent.
pub(crate) fn pipeline(root: &Node, problems: Problems, partial: bool, tests: Tests) -> Result<Pipeline, Problems> {
    let mut cx = Context::new(problems, partial);
    match read(root, tests, &mut cx) {
        Some(mut pipeline) if cx.problems.is_empty() => {
            // In the order of the file, whatever was read first.
            pipeline.warnings = Problems::from_iter(cx.warnings).iter().cloned().collect();
            Ok(pipeline)
        }
        _ => Err(cx.problems),
    }
}

fn read(root: &Node, tests: Tests, cx: &mut Context) -> Option<Pipeline> {
    let mut fields = Fields::of(root, "a pipeline", cx)?;
    let name = fields.required("name", cx, values::text);
    let description = fields.optional("description", cx, values::text);
    let input = fields.optional("input", cx, input);
    let models = fields.optional("models", cx, models);
    let (models, endpoints) = models.unwrap_or_default();
    let plugins = fields.optional("plugins", cx, plugin::plugins);
    let steps = fields.required("steps", cx, steps::steps);
    let read = steps.unwrap_or_default();
    let outputs = output::outputs(fields.get("output"), &read, cx);
    let tests = fields.optional("tests", cx, |key, node, cx| match tests {
        Tests::Read => tests::tests(key, node, &outputs, &read, cx),
        Tests::PassedOver => None,
    });
    fields.finish(cx);
    cx.warn_of_what_is_unused();
    Some(Pipeline {
        name: name?.value,
        description: description.map(|text| text.value),
        input: input.unwrap_or_default(),
        models,
        endpoints,
        plugins: plugins.unwrap_or_default(),
        steps: read,
        output: outputs.into_iter().filter_map(|target| target.output).collect(),
        tests: tests.unwrap_or_default(),
        warnings: Vec::new(),
    })
}

fn input(_key: &str, node: &Node, cx: &mut Context) -> Option<Input> {
    let mut fields = Fields::of(node, "`[input]`", cx)?;
    let file = fields.optional("file", cx, values::path);
    let max_record_bytes = fields.optional("max_record_bytes", cx, values::count);
    fields.finish(cx);
    Some(Input { file, max_record_bytes: max_record_bytes.unwrap_or(Input::DEFAULT_MAX_RECORD_BYTES) })
}

fn models(_key: &str, node: &Node, cx: &mut Context) -> Option<(Vec<Model>, Vec<Endpoint>)> {
    let table = values::table("models", node, cx, Some("write each model as a table `[models.NAME]`"))?;
    let (mut models, mut endpoints) = (Vec::new(), Vec::new());
    for entry in &table.0 {
        let name = values::checked_name(&entry.key, cx);
        let hosted = endpoint::is_endpoint(&entry.node);
        match hosted {
            true => {
                declare(&name, true, &[], cx);
                endpoints.extend(endpoint::endpoint(name, &entry.node, cx));
            }
            false => models.extend(model(name, &entry.node, cx)),
        }
    }
    Some((models, endpoints))
}

fn declare(name: &Option<Spanned<Name>>, hosted: bool, adapters: &[(Name, Spanned<PathBuf>)], cx: &mut Context) {
    if let Some(name) = name {
        let adapters = adapters.iter().map(|(name, _)| name.clone());
        cx.declare_model(name.clone(), hosted, adapters.collect());
    }
}

fn model(name: Option<Spanned<Name>>, node: &Node, cx: &mut Context) -> Option<Model> {
    let Some(mut fields) = Fields::of(node, "a model", cx) else {
        declare(&name, false, &[], cx);
        return None;
    };
    let source = fields.required("source", cx, values::text);
    let plugin = fields.optional("plugin", cx, plugin::of_model);
    let adapter = fields.optional("adapter", cx, values::path);
    let adapters = fields.optional("adapters", cx, adapters).unwrap_or_default();
    if let (Some(adapter), false) = (&adapter, adapters.is_empty()) {
        let problem = adapter.mistake("a model has either an `adapter` or `adapters`", "");
        cx.report(problem.hint("an `adapter` is in every answer; steps choose one of `adapters`"));
    }
    declare(&name, false, &adapters, cx);
    let dtype = fields.optional("dtype", cx, values::dtype);
    let device = fields.optional("device", cx, values::device);
    // Whoever has it is read as an endpoint; it is asked for to be told of.
    let _none = fields.get("provider");
    fields.finish(cx);
    Some(Model {
        name: name?.value,
        source: source?,
        plugin,
        adapter,
        adapters,
        dtype: dtype.unwrap_or_default(),
        device,
    })
}

fn adapters(key: &str, node: &Node, cx: &mut Context) -> Option<Vec<(Name, Spanned<PathBuf>)>> {
    let table = values::table(key, node, cx, Some("write each as `NAME = \"FOLDER\"`"))?;
    let adapter = |entry: &Entry| {
        let name = values::checked_name(&entry.key, cx);
        let path = values::path(&entry.key, &entry.node, cx);
        Some((name?.value, path?))
    };
    Some(table.0.iter().filter_map(adapter).collect())
}
