//! `[output]`.

use runtime_tasks::OutputType;

use super::context::Context;
use super::values;
use crate::name::Name;
use crate::pipeline::{Output, Step, outputs_of};
use crate::tree::{Entry, Node};

/// A field of the output record and what is known of its value.
pub(super) struct Target {
    pub(super) field: String,
    /// `None` where what should fill the field has been reported.
    pub(super) output: Option<Output>,
    pub(super) kind: Option<OutputType>,
}

/// The fields of the output record: those of `[output]`, or all outputs of the last step.
pub(super) fn outputs(node: Option<&Node>, steps: &[Step], cx: &mut Context) -> Vec<Target> {
    let Some(node) = node else {
        cx.use_last_step();
        return steps.last().map(all_of).unwrap_or_default();
    };
    let Some(table) = values::table("output", node, cx, None) else { return Vec::new() };
    if table.0.is_empty() {
        let problem = node.mistake("`[output]` names no field", "");
        cx.report_if_whole(problem.hint("leave it out to get all that the last step gives"));
    }
    table.0.iter().map(|entry| field(entry, cx)).collect()
}

fn all_of(step: &Step) -> Vec<Target> {
    let outputs = outputs_of(step.kind.name()).iter().map(|(name, kind)| {
        let field = (*name).to_owned();
        let output = Output { field: field.clone(), step: step.name.clone(), output: field.clone() };
        Target { field, output: Some(output), kind: Some(*kind) }
    });
    outputs.collect()
}

fn field(entry: &Entry, cx: &mut Context) -> Target {
    let field = &entry.key;
    if field.trim().is_empty() {
        cx.report(field.mistake("a field of the output record needs a name", ""));
    }
    let (output, kind) = source(field, &entry.node, cx).unzip();
    Target { field: field.value.clone(), output, kind: kind.flatten() }
}

/// What fills `field`, with its type where it is known.
fn source(field: &str, node: &Node, cx: &mut Context) -> Option<(Output, Option<OutputType>)> {
    let written = values::text(field, node, cx)?;
    let Some((step, output)) = written.split_once('.') else {
        let problem = written.mistake(format!("`{}` is not a step's output", written.value), "");
        cx.report(problem.hint("write `step.output`, such as `triage.label`"));
        return None;
    };
    let kind = cx.use_output(&written, step, output);
    Some((Output { field: field.to_owned(), step: Name::new(step).ok()?, output: output.to_owned() }, kind))
}
