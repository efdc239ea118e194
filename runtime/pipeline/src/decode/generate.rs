//! Steps that generate: their prompts, and the parameters, which are `runtime-tasks`' to say.

use std::collections::BTreeSet;

use runtime_tasks::{InputType, TaskKind, TaskOptions};
use serde_json::Value;

use super::context::Context;
use super::fields::Fields;
use super::steps::{model, output_reference};
use super::{plugin, task, values};
use crate::name::Name;
use crate::pipeline::{AdapterChoice, GenerateStep, Reference};
use crate::prompt::{PromptError, PromptTemplate};
use crate::spanned::Spanned;
use crate::tree::Node;

/// The parameter that says what a result has in front, which a step's never has.
const FULL_TEXT: &str = "return_full_text";

/// The rest of the step `node`, whose name and kind have been read.
pub(super) fn generate(chat: bool, node: &Node, mut fields: Fields<'_>, cx: &mut Context) -> Option<GenerateStep> {
    let model = fields.required("model", cx, model);
    let adapter = fields.optional("adapter", cx, template);
    if let (Some(model), Some((written, template))) = (&model, &adapter) {
        refuse_unknown_adapter(model, written, template, cx);
    }
    let system = if chat { fields.optional("system", cx, template) } else { None };
    let prompt = fields.required("prompt", cx, template);
    let processors = fields.optional("logits_processors", cx, plugin::processors).unwrap_or_default();
    let names = TaskOptions::names(TaskKind::TextGeneration).into_iter();
    let params = task::params(names.filter(|name| !matches!(*name, FULL_TEXT | "return_tensors")), &mut fields, cx);
    let options = task::options(TaskKind::TextGeneration, node, &params, cx);
    fields.finish(cx);
    if model.as_ref().is_some_and(|model| cx.is_hosted(model)) {
        refuse_unasked(&params, cx);
        for processor in &processors {
            let message = "a model behind an endpoint does not show its scores to plugins";
            cx.report(processor.plugin.mistake(message, ""));
        }
    }
    let mut reads = Vec::new();
    let mut known = BTreeSet::new();
    for (written, template) in adapter.iter().chain(&system).chain(&prompt) {
        for name in template.variables().filter(|name| known.insert((*name).to_owned())) {
            reads.push(read(name, written, cx)?);
        }
    }
    let Some(TaskOptions::Generation(options)) = options else { return None };
    let system = system.map(|(_, template)| template);
    let adapter = adapter.map(|(written, template)| written.with(template));
    Some(GenerateStep {
        chat,
        model: model?,
        adapter,
        system,
        prompt: prompt?.1,
        reads,
        logits_processors: processors,
        options,
        params,
    })
}

/// Reports an adapter that the model has not, as far as it is known without a record.
fn refuse_unknown_adapter(model: &Name, written: &Spanned<String>, template: &PromptTemplate, cx: &mut Context) {
    match AdapterChoice::of(template) {
        AdapterChoice::Always(name) => cx.use_adapter(model, &written.with(name)),
        _ if cx.is_hosted(model) => cx.use_adapter(model, written),
        AdapterChoice::ByRecord | AdapterChoice::None => {}
    }
}

/// What can be asked of an endpoint.
const ASKED: [&str; 10] = [
    "max_new_tokens",
    "temperature",
    "top_p",
    "do_sample",
    "seed",
    "stop_strings",
    "presence_penalty",
    "frequency_penalty",
    "json_schema",
    "choices",
];

/// Stop strings that an endpoint takes, as OpenAI documents it.
const MOST_STOPS: usize = 4;

/// Reports the parameters that no endpoint has.
fn refuse_unasked(params: &[(&'static str, Spanned<Value>)], cx: &mut Context) {
    for (name, value) in params {
        if !ASKED.contains(name) {
            let problem = value.mistake(format!("`{name}` cannot be asked of a model behind an endpoint"), "");
            let asked: Vec<String> = ASKED.iter().map(|name| format!("`{name}`")).collect();
            cx.report(problem.hint(format!("it takes {}", asked.join(", "))));
        }
        if *name == "stop_strings" && value.as_array().is_some_and(|stops| stops.len() > MOST_STOPS) {
            cx.report(value.mistake(format!("an endpoint takes {MOST_STOPS} of `{name}` at most"), ""));
        }
    }
}

/// A template, with its place.
pub(super) fn template(key: &str, node: &Node, cx: &mut Context) -> Option<(Spanned<String>, PromptTemplate)> {
    let text = values::text(key, node, cx)?;
    match text.parse() {
        Ok(template) => Some((text, template)),
        Err(error) => {
            let error: PromptError = error;
            cx.report(text.mistake(error.to_string(), ""));
            None
        }
    }
}

/// What a template reads: `step.output` where there is such a step, else a field of the record.
fn read(name: &str, written: &Spanned<String>, cx: &mut Context) -> Option<Reference> {
    match name.split_once('.') {
        Some((step, _)) if cx.has_step(step) => output_reference(&written.with(name.to_owned()), InputType::Any, cx),
        Some((field, _)) => Some(Reference::Field(field.to_owned())),
        None => Some(Reference::Field(name.to_owned())),
    }
}
