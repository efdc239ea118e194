//! Steps that generate: their prompts, and the parameters, which are `runtime-tasks`' to say.

use std::collections::BTreeSet;

use runtime_tasks::{InputType, TaskKind, TaskOptions};

use super::context::Context;
use super::fields::Fields;
use super::steps::{model, output_reference};
use super::{task, values};
use crate::pipeline::{GenerateStep, Reference};
use crate::prompt::{PromptError, PromptTemplate};
use crate::spanned::Spanned;
use crate::tree::Node;

/// The parameter that says what a result has in front, which a step's never has.
const FULL_TEXT: &str = "return_full_text";

/// The rest of the step `node`, whose name and kind have been read.
pub(super) fn generate(chat: bool, node: &Node, mut fields: Fields<'_>, cx: &mut Context) -> Option<GenerateStep> {
    let model = fields.required("model", cx, model);
    let system = if chat { fields.optional("system", cx, template) } else { None };
    let prompt = fields.required("prompt", cx, template);
    let names = TaskOptions::names(TaskKind::TextGeneration).into_iter();
    let params = task::params(names.filter(|name| !matches!(*name, FULL_TEXT | "return_tensors")), &mut fields, cx);
    let options = task::options(TaskKind::TextGeneration, node, &params, cx);
    fields.finish(cx);
    let mut reads = Vec::new();
    let mut known = BTreeSet::new();
    for (written, template) in system.iter().chain(&prompt) {
        for name in template.variables().filter(|name| known.insert((*name).to_owned())) {
            reads.push(read(name, written, cx)?);
        }
    }
    let Some(TaskOptions::Generation(options)) = options else { return None };
    let system = system.map(|(_, template)| template);
    Some(GenerateStep { chat, model: model?, system, prompt: prompt?.1, reads, options, params })
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
