//! A step that does a task. Which fields it reads and which parameters it has is `runtime-tasks`' to say.

use runtime_tasks::{InputType, TaskKind, TaskOptions, TokenClassification};
use serde_json::{Map, Value};

use super::context::{Context, hinted};
use super::fields::Fields;
use super::steps::{model, reference};
use super::values;
use crate::pipeline::{Reference, TaskStep};
use crate::spanned::Spanned;
use crate::tree::Node;

/// The rest of the step `node`, whose name and kind have been read.
pub(super) fn task(task: TaskKind, node: &Node, mut fields: Fields<'_>, cx: &mut Context) -> Option<TaskStep> {
    let model = fields.required("model", cx, model);
    let params = params(TaskOptions::names(task).into_iter(), &mut fields, cx);
    let options = options(task, node, &params, cx);
    let words = matches!(
        options,
        Some(TaskOptions::TokenClassification(TokenClassification { is_split_into_words: true, .. }))
    );
    let mut complete = true;
    let mut inputs = Vec::new();
    for input in task.inputs() {
        let holds = if words { InputType::Texts } else { input.holds };
        let read = |key: &str, node: &Node, cx: &mut Context| reference(key, node, holds, cx);
        let found: Option<Reference> =
            if input.required { fields.required(input.name, cx, read) } else { fields.optional(input.name, cx, read) };
        complete &= found.is_some() || !input.required;
        inputs.extend(found.map(|from| (input.name, holds, from)));
    }
    let truncate = fields.optional("truncate", cx, values::boolean).unwrap_or(true);
    fields.finish(cx);
    complete.then_some(())?;
    Some(TaskStep { task, model: model?, inputs, options: options?, params, truncate })
}

/// The parameters of these names that are written.
pub(super) fn params(
    names: impl Iterator<Item = &'static str>,
    fields: &mut Fields<'_>,
    cx: &mut Context,
) -> Vec<(&'static str, Spanned<Value>)> {
    let written = names.filter_map(|name| {
        let node = fields.get(name)?;
        Some((name, node.with(values::json(name, node, cx)?)))
    });
    written.collect()
}

/// The parameters, checked; each that is wrong is reported at its place.
pub(super) fn options(
    task: TaskKind,
    step: &Node,
    params: &[(&'static str, Spanned<Value>)],
    cx: &mut Context,
) -> Option<TaskOptions> {
    let mut given: Map<String, Value> =
        params.iter().map(|(name, value)| ((*name).to_owned(), value.value.clone())).collect();
    let mut right = true;
    loop {
        let error = match TaskOptions::read(task, &given) {
            Ok(options) => return right.then_some(options),
            Err(error) => error,
        };
        right = false;
        let place = params.iter().find(|(name, _)| *name == error.key).map(|(_, value)| value.with(()));
        let place = place.unwrap_or_else(|| step.with(()));
        cx.report(hinted(place.mistake(&error.message, ""), error.hint));
        // The others are checked too.
        given.remove(&error.key)?;
    }
}
