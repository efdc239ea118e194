//! `[[steps.rungs]]`.

use super::context::Context;
use super::fields::Fields;
use super::steps::{classifier, model, refuse_unknown_kind};
use super::{generate, values};
use crate::name::Name;
use crate::pipeline::{Rung, RungKind};
use crate::prompt::PromptTemplate;
use crate::rules::Accept;
use crate::spanned::Spanned;
use crate::tree::Node;

pub(super) fn rungs(key: &str, node: &Node, cx: &mut Context) -> Option<Vec<Rung>> {
    let items = values::array(key, node, cx, Some("write each rung under a header `[[steps.rungs]]`"))?;
    if items.is_empty() {
        cx.report_if_whole(node.mistake("a ladder needs at least one rung", ""));
    }
    let mut names = Vec::new();
    let rungs: Vec<(&Node, Rung)> = items.iter().filter_map(|item| Some((item, rung(item, &mut names, cx)?))).collect();
    if rungs.len() == items.len() {
        warn_of_dead_ends(&rungs, cx);
    }
    Some(rungs.into_iter().map(|(_, rung)| rung).collect())
}

fn rung(node: &Node, names: &mut Vec<Spanned<Name>>, cx: &mut Context) -> Option<Rung> {
    let mut fields = Fields::of(node, "a rung", cx)?;
    let name = fields.required("name", cx, values::name);
    if let Some(name) = &name {
        cx.refuse_duplicate("rungs", name, names);
    }
    let written = fields.required("kind", cx, values::text);
    if let Some(kind) = &written {
        refuse_unknown_kind("rung", kind, &RungKind::KINDS, cx);
    }
    let (kind, accept) = match written.as_ref().map(|kind| kind.as_str()) {
        Some(RungKind::ZERO_SHOT) => {
            let kind = classifier(&mut fields, cx).map(RungKind::ZeroShot);
            let accept = fields.optional("accept", cx, accept);
            fields.finish(cx);
            (kind, accept)
        }
        Some(RungKind::LLM) => {
            let kind = llm(&mut fields, cx);
            let accept = fields.optional("accept", cx, accept);
            fields.finish(cx);
            (kind, accept)
        }
        _ => (None, None),
    };
    Some(Rung { name: name?.value, kind: kind?, accept: accept.unwrap_or_default() })
}

fn llm(fields: &mut Fields<'_>, cx: &mut Context) -> Option<RungKind> {
    let model = fields.required("model", cx, model);
    let adapter = fields.optional("adapter", cx, values::name);
    if let (Some(model), Some(adapter)) = (&model, &adapter) {
        cx.use_adapter(model, &adapter.with(adapter.to_string()));
    }
    let otherwise = fields.required("otherwise", cx, values::text);
    let system = fields.optional("system", cx, label_prompt);
    let prompt = fields.optional("prompt", cx, label_prompt);
    Some(RungKind::Llm { model: model?, adapter, system, prompt, otherwise: otherwise?.value })
}

/// A template that reads the text and the labels.
fn label_prompt(key: &str, node: &Node, cx: &mut Context) -> Option<PromptTemplate> {
    let (written, template) = generate::template(key, node, cx)?;
    let other = template.variables().find(|name| !matches!(*name, "text" | "labels"));
    if let Some(other) = other {
        let problem = written.mistake(format!("a rung's `{key}` cannot read `{other}`"), "");
        cx.report(problem.hint("it reads `text` and `labels`"));
        return None;
    }
    Some(template)
}

fn accept(_key: &str, node: &Node, cx: &mut Context) -> Option<Accept> {
    let mut fields = Fields::of(node, "`accept`", cx)?;
    let threshold = fields.optional("threshold", cx, values::fraction);
    let margin = fields.optional("margin", cx, values::fraction);
    fields.finish(cx);
    Some(Accept { threshold, margin })
}

/// Whether its model writes an answer, which need not be a label.
fn may_name_no_label(rung: &Rung, cx: &Context) -> bool {
    matches!(&rung.kind, RungKind::Llm { model, .. } if cx.is_hosted(model))
}

/// Warns of rungs that are never asked, and of a last rung that may leave a record without a label.
fn warn_of_dead_ends(rungs: &[(&Node, Rung)], cx: &mut Context) {
    for pair in rungs.windows(2) {
        if let [(_, before), (place, after)] = pair
            && before.accept.is_empty()
            && !may_name_no_label(before, cx)
        {
            let message = format!("the rung `{}` is never asked: `{}` accepts any answer", after.name, before.name);
            cx.warnings.push(place.warning(message));
        }
    }
    if let Some((place, last)) = rungs.last()
        && !last.accept.is_empty()
    {
        let message = format!("a record that the last rung `{}` is unsure of ends without a label", last.name);
        let hint =
            "its label, score and rung are then null; without `accept`, the last rung's answer is taken as it is";
        cx.warnings.push(place.warning(message).hint(hint));
    }
}
