//! `[[steps]]`.

use runtime_diagnostics::Explain;
use runtime_tasks::{InputType, OutputType};

use super::context::{Context, did_you_mean, hinted};
use super::fields::Fields;
use super::{generate, plugin, rungs, task, values};
use crate::labels::refuse_duplicates;
use crate::name::Name;
use crate::pipeline::{Classifier, Labels, Ladder, Reference, Step, StepKind, ZeroShot, outputs_of};
use crate::spanned::Spanned;
use crate::template::{Template, TemplateError};
use crate::tree::Node;

pub(super) fn steps(key: &str, node: &Node, cx: &mut Context) -> Option<Vec<Step>> {
    let items = values::array(key, node, cx, Some("write each step under a header `[[steps]]`"))?;
    if items.is_empty() {
        cx.report(node.mistake("a pipeline needs at least one step", ""));
    }
    cx.announce_steps(items.iter().filter_map(Node::name));
    let mut names = Vec::new();
    Some(items.iter().filter_map(|item| step(item, &mut names, cx)).collect())
}

fn step(node: &Node, names: &mut Vec<Spanned<Name>>, cx: &mut Context) -> Option<Step> {
    let mut fields = Fields::of(node, "a step", cx)?;
    let name = fields.required("name", cx, values::name);
    if let Some(name) = &name {
        cx.refuse_duplicate("steps", name, names);
    }
    let written = fields.required("kind", cx, values::text);
    let kind = match written.as_ref().map(|kind| kind.as_str()) {
        Some(StepKind::LADDER) => ladder(fields, cx).map(StepKind::Ladder),
        Some(StepKind::ZERO_SHOT) => zero_shot(fields, cx).map(StepKind::ZeroShot),
        Some(kind @ (StepKind::GENERATE | StepKind::CHAT)) => {
            generate::generate(kind == StepKind::CHAT, node, fields, cx).map(StepKind::Generate)
        }
        Some(StepKind::PLUGIN) => plugin::step(node, fields, cx).map(StepKind::Plugin),
        Some(name) => {
            let task = StepKind::task(name);
            task.and_then(|task| task::task(task, node, fields, cx)).map(StepKind::Task)
        }
        // Which other keys are legal depends on the kind, so they are left alone.
        _ => None,
    };
    if let Some(kind) = &written {
        refuse_unknown_kind("step", kind, &StepKind::kinds(), cx);
    }
    // Only now: a step does not see itself.
    if let Some(name) = &name {
        let outputs = written.map(|kind| outputs_of(&kind)).filter(|outputs| !outputs.is_empty());
        cx.declare_step(name.clone(), outputs);
    }
    Some(Step { name: name?.value, kind: kind? })
}

/// Reports `kind` unless it is one of `kinds`.
pub(super) fn refuse_unknown_kind(what: &str, kind: &Spanned<String>, kinds: &[&str], cx: &mut Context) {
    if !kinds.contains(&kind.as_str()) {
        let problem = kind.mistake(format!("no kind of {what} is called `{}`", kind.value), "");
        cx.report(hinted(problem, did_you_mean(kind, kinds.iter().copied(), "the kinds are")));
    }
}

fn ladder(mut fields: Fields<'_>, cx: &mut Context) -> Option<Ladder> {
    let text = fields.required("text", cx, text);
    let labels = labels(&mut fields, cx);
    let rungs = fields.required("rungs", cx, rungs::rungs);
    fields.finish(cx);
    Some(Ladder { text: text?, labels: labels?, rungs: rungs? })
}

fn zero_shot(mut fields: Fields<'_>, cx: &mut Context) -> Option<ZeroShot> {
    let text = fields.required("text", cx, text);
    let labels = labels(&mut fields, cx);
    let classifier = classifier(&mut fields, cx);
    fields.finish(cx);
    Some(ZeroShot { text: text?, labels: labels?, classifier: classifier? })
}

/// The keys of a classifier, which a step and a rung share.
pub(super) fn classifier(fields: &mut Fields<'_>, cx: &mut Context) -> Option<Classifier> {
    let model = fields.required("model", cx, |key, node, cx| local_model(key, node, LLM, cx));
    let hypothesis_template = fields.optional("hypothesis_template", cx, hypothesis_template);
    let multi_label = fields.optional("multi_label", cx, values::boolean);
    Some(Classifier {
        model: model?,
        hypothesis_template: hypothesis_template.unwrap_or_default(),
        multi_label: multi_label.unwrap_or(false),
    })
}

/// A declared model.
pub(super) fn model(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<Name>> {
    let name = values::name(key, node, cx)?;
    cx.use_model(&name);
    Some(name)
}

/// What asks a model behind an endpoint for labels.
const LLM: &str = "a rung of kind `llm` asks such a model for one of the labels";

/// A declared model that runs here; `instead` says what a model behind an endpoint is for.
pub(super) fn local_model(key: &str, node: &Node, instead: &str, cx: &mut Context) -> Option<Spanned<Name>> {
    let name = model(key, node, cx)?;
    if !cx.is_hosted(&name) {
        return Some(name);
    }
    let message = format!("`{}` is behind an endpoint, which this kind does not ask", name.value);
    cx.report(name.mistake(message, "").hint(instead));
    None
}

fn hypothesis_template(key: &str, node: &Node, cx: &mut Context) -> Option<Template> {
    let text = values::text(key, node, cx)?;
    let template = text.parse();
    let report = |error: TemplateError| {
        let problem = text.mistake(error.to_string(), "");
        cx.report(match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    };
    template.map_err(report).ok()
}

/// A text of the record, or one that an earlier step put out.
fn text(key: &str, node: &Node, cx: &mut Context) -> Option<Reference> {
    reference(key, node, InputType::Text, cx)
}

/// A field of the record, or an output of an earlier step, that holds what is asked for.
pub(super) fn reference(key: &str, node: &Node, holds: InputType, cx: &mut Context) -> Option<Reference> {
    let written = values::text(key, node, cx)?;
    if !written.contains('.') {
        if cx.has_step(&written) {
            let message = format!("`{}` is read as a field of the record, not as the step", written.value);
            cx.warnings.push(written.warning(message).hint("a step's output is written `step.output`"));
        }
        return Some(Reference::Field(written.value));
    }
    output_reference(&written, holds, cx)
}

/// `step.output`, which must hold what is asked for.
pub(super) fn output_reference(written: &Spanned<String>, holds: InputType, cx: &mut Context) -> Option<Reference> {
    let (step, output) = written.split_once('.')?;
    match (cx.use_output(written, step, output), holds) {
        (Some(OutputType::Number | OutputType::List), InputType::Text) => {
            cx.report(written.mistake(format!("`{}` is no text", written.value), ""));
        }
        (Some(OutputType::Number), InputType::Texts) => {
            cx.report(written.mistake(format!("`{}` is no list of texts", written.value), ""));
        }
        _ => {}
    }
    Some(Reference::Output { step: Name::new(step).ok()?, output: output.to_owned() })
}

/// `labels` or `labels_file`.
fn labels(fields: &mut Fields<'_>, cx: &mut Context) -> Option<Labels> {
    match (fields.get("labels"), fields.get("labels_file")) {
        (Some(labels), None) => inline_labels(labels, cx).map(Labels::Inline),
        (None, Some(file)) => values::path("labels_file", file, cx).map(Labels::File),
        (Some(labels), Some(file)) => {
            let label = format!("`labels` is on {}", labels.line_seen_from(&file.source));
            cx.report(file.mistake("`labels` and `labels_file` exclude each other", label));
            inline_labels(labels, cx).map(Labels::Inline)
        }
        (None, None) => {
            fields.report_missing("a step needs `labels` or `labels_file`", cx);
            None
        }
    }
}

fn inline_labels(node: &Node, cx: &mut Context) -> Option<Vec<String>> {
    let items = values::array("labels", node, cx, Some("write a list such as `[\"good\", \"bad\"]`"))?;
    if items.is_empty() {
        cx.report_if_whole(node.mistake("`labels` needs at least one label", ""));
    }
    let labels: Vec<_> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| values::text(&format!("labels[{index}]"), item, cx))
        .collect();
    refuse_duplicates(&labels, &mut cx.problems);
    Some(labels.into_iter().map(|label| label.value).collect())
}
