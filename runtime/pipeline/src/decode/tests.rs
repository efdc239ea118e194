//! `[[tests]]`.

use runtime_diagnostics::nearest;
use runtime_tasks::{InputType, OutputType};
use serde_json::{Map, Value as Json};

use super::context::{Context, did_you_mean, hinted};
use super::fields::Fields;
use super::output::Target;
use super::values;
use crate::pipeline::{Labels, Reference, RungKind, Step, StepKind, Test};
use crate::rules::Expectation;
use crate::spanned::Spanned;
use crate::tree::{Entry, Node, Value};

pub(super) fn tests(key: &str, node: &Node, targets: &[Target], steps: &[Step], cx: &mut Context) -> Option<Vec<Test>> {
    let items = values::array(key, node, cx, Some("write each test under a header `[[tests]]`"))?;
    let mut names = Vec::new();
    Some(items.iter().filter_map(|item| test(item, targets, steps, &mut names, cx)).collect())
}

fn test(
    node: &Node,
    targets: &[Target],
    steps: &[Step],
    names: &mut Vec<Spanned<String>>,
    cx: &mut Context,
) -> Option<Test> {
    let mut fields = Fields::of(node, "a test", cx)?;
    let name = fields.required("name", cx, values::text);
    if let Some(name) = &name {
        cx.refuse_duplicate("tests", name, names);
    }
    let input = fields.required("input", cx, |key, node, cx| record(key, node, steps, cx));
    let expect = fields.required("expect", cx, |key, node, cx| {
        let table = values::table(key, node, cx, None)?;
        if table.0.is_empty() {
            cx.report_if_whole(node.mistake("a test needs to expect something", ""));
        }
        Some(table.0.iter().filter_map(|entry| expectation(entry, targets, steps, cx)).collect())
    });
    fields.finish(cx);
    let place = (node.source.clone(), node.span.clone());
    Some(Test { name: name?.value, input: input?, expect: expect?, place })
}

/// The record, with a text, or a list, in every field that a step reads.
fn record(key: &str, node: &Node, steps: &[Step], cx: &mut Context) -> Option<Map<String, Json>> {
    let table = values::table(key, node, cx, None)?;
    let inputs = steps.iter().flat_map(|step| step.kind.inputs().into_iter().map(move |input| (step, input)));
    for (step, input) in inputs {
        let Reference::Field(field) = input.from else { continue };
        match table.get(field) {
            // A template may do without.
            None if input.holds == InputType::Any => {}
            None => {
                let message = format!("the record has no field `{field}`, which the step `{}` reads", step.name);
                let near = nearest(field, table.0.iter().map(|entry| entry.key.as_str()));
                let hint = near.map(|near| format!("is `{near}` meant to be `{field}`?"));
                cx.report_if_whole(hinted(node.mistake(message, ""), hint));
            }
            Some(value) => match (&value.value, input.holds) {
                (Value::String(_), _) | (Value::Array(_), InputType::Texts) | (_, InputType::Any) => {}
                (_, InputType::Texts) => cx.wrong_type(field, value, "a string or an array of strings", None),
                (_, InputType::Text) => cx.wrong_type(field, value, "a string", None),
            },
        }
    }
    Some(values::json_object(table, cx))
}

fn expectation(entry: &Entry, targets: &[Target], steps: &[Step], cx: &mut Context) -> Option<(String, Expectation)> {
    let field = &entry.key;
    let target = targets.iter().find(|target| target.field == **field);
    // Without any target, what is wrong with `[output]` has been said.
    if target.is_none() && !targets.is_empty() {
        let problem = field.mistake(format!("the output record has no field `{}`", field.value), "");
        let names = targets.iter().map(|target| target.field.as_str());
        cx.report_if_whole(hinted(problem, did_you_mean(field, names, "its fields are")));
    }
    let expected = match &entry.node.value {
        Value::Table(_) => rule(&entry.node, cx)?,
        _ => Expectation::Equals(values::json(field, &entry.node, cx)?),
    };
    if let Some(target) = target {
        warn_of_the_impossible(target, &expected, &entry.node, steps, cx);
    }
    Some((field.value.clone(), expected))
}

/// A table of bounds, or of a part.
fn rule(node: &Node, cx: &mut Context) -> Option<Expectation> {
    let mut fields = Fields::of(node, "an expectation", cx)?;
    let min = fields.optional("min", cx, values::number);
    let max = fields.optional("max", cx, values::number);
    let part = fields.optional("contains", cx, values::text);
    let bounds = [fields.get("min"), fields.get("max")].iter().any(Option::is_some);
    match (bounds, fields.get("contains").is_some()) {
        (false, false) => fields.report_missing("an expectation needs `min`, `max` or `contains`", cx),
        (true, true) => cx.report(node.mistake("what contains a text is no number, which has `min` or `max`", "")),
        _ => {}
    }
    fields.finish(cx);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        cx.report(node.mistake(format!("no number is at least {min} and at most {max}"), ""));
    }
    Some(part.map_or(Expectation::Range { min, max }, |part| Expectation::Contains(part.value)))
}

/// Warns of a test that can only fail. It is no error, because the pipeline itself runs.
fn warn_of_the_impossible(target: &Target, expected: &Expectation, node: &Node, steps: &[Step], cx: &mut Context) {
    let field = &target.field;
    match (target.kind, expected) {
        (Some(OutputType::Text | OutputType::List), Expectation::Range { .. }) => {
            cx.warnings.push(node.warning(format!("`{field}` is never a number")));
        }
        (Some(OutputType::Number), Expectation::Contains(_)) => {
            cx.warnings.push(node.warning(format!("`{field}` is a number and contains nothing")));
        }
        (Some(OutputType::Number), Expectation::Equals(value)) if !value.is_number() => {
            cx.warnings.push(node.warning(format!("`{field}` is never {value}: it is a number")));
        }
        (Some(OutputType::Text), Expectation::Equals(value)) => {
            let Some(possible) = texts_of(target, steps) else { return };
            if !value.as_str().is_some_and(|value| possible.contains(&value)) {
                let problem = node.warning(format!("`{field}` is never {value}"));
                let hint = did_you_mean(value.as_str().unwrap_or_default(), possible.iter().copied(), "it is one of");
                cx.warnings.push(hinted(problem, hint));
            }
        }
        _ => {}
    }
}

/// All texts that an output can be; `None` where they are not in the pipeline.
fn texts_of<'a>(target: &Target, steps: &'a [Step]) -> Option<Vec<&'a str>> {
    let source = target.output.as_ref()?;
    let step = steps.iter().find(|step| step.name == source.step)?;
    let rungs = match &step.kind {
        StepKind::Ladder(ladder) => ladder.rungs.as_slice(),
        StepKind::ZeroShot(_) => &[],
        // Only the model knows its labels.
        StepKind::Task(_) | StepKind::Generate(_) | StepKind::Plugin(_) => return None,
    };
    if source.output == "rung" {
        return Some(rungs.iter().map(|rung| rung.name.as_str()).collect());
    }
    let Some(Labels::Inline(labels)) = step.kind.labels() else { return None };
    let otherwise = rungs.iter().filter_map(|rung| match &rung.kind {
        RungKind::Llm { otherwise, .. } => Some(otherwise),
        RungKind::ZeroShot(_) => None,
    });
    Some(labels.iter().chain(otherwise).map(String::as_str).collect())
}
