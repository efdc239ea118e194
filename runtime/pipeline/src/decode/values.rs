//! Reading single values: each reader reports what is wrong with one and names its key.

use std::path::PathBuf;

use runtime_diagnostics::{Explain, Problem};
use runtime_tasks::{Dtype, Placement, WrongPlacement};

use super::context::{Context, did_you_mean, hinted};
use crate::name::Name;
use crate::spanned::Spanned;
use crate::tree::{Node, Table, Value};

/// A string with something in it.
pub(super) fn text(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<String>> {
    match &node.value {
        Value::String(text) if text.trim().is_empty() => {
            cx.report(node.mistake(format!("`{key}` is empty"), ""));
            None
        }
        Value::String(text) => Some(node.with(text.clone())),
        _ => {
            cx.wrong_type(key, node, "a string", None);
            None
        }
    }
}

pub(super) fn path(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<PathBuf>> {
    text(key, node, cx).map(|text| text.with(PathBuf::from(&text.value)))
}

pub(super) fn name(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<Name>> {
    checked_name(&text(key, node, cx)?, cx)
}

/// `text` as a name.
pub(super) fn checked_name(text: &Spanned<String>, cx: &mut Context) -> Option<Spanned<Name>> {
    match Name::new(text.as_str()) {
        Ok(name) => Some(text.with(name)),
        Err(error) => {
            let problem: Problem = text.mistake(error.to_string(), "");
            cx.report(hinted(problem, error.hint()));
            None
        }
    }
}

/// One of the types of weights.
pub(super) fn dtype(key: &str, node: &Node, cx: &mut Context) -> Option<Dtype> {
    let name = text(key, node, cx)?;
    let known = Dtype::named(name.as_str());
    if known.is_none() {
        let problem = name.mistake(format!("`{key}` cannot be `{}`", name.value), "");
        let names = Dtype::ALL.into_iter().map(Dtype::name);
        cx.report(hinted(problem, did_you_mean(name.as_str(), names, "it can be")));
    }
    known
}

/// The name of a device, or of several.
pub(super) fn device(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<Placement>> {
    let name = text(key, node, cx)?;
    let report = |error: WrongPlacement| {
        let problem = name.mistake(format!("`{key}` cannot be `{}`", name.value), "");
        cx.report(problem.hint(error.to_string()));
    };
    name.parse().map_err(report).ok().map(|device| name.with(device))
}

pub(super) fn boolean(key: &str, node: &Node, cx: &mut Context) -> Option<bool> {
    if let Value::Boolean(value) = node.value {
        return Some(value);
    }
    cx.wrong_type(key, node, "`true` or `false`", None);
    None
}

/// A number that is not `nan`.
pub(super) fn number(key: &str, node: &Node, cx: &mut Context) -> Option<f64> {
    match node.value {
        Value::Float(value) if value.is_nan() => {
            cx.report(node.mistake(format!("`{key}` must be a number, not `nan`"), ""));
            None
        }
        Value::Float(value) => Some(value),
        #[expect(clippy::cast_precision_loss, reason = "a bound beyond 2^53 is no more exact in any score")]
        Value::Integer(value) => Some(value as f64),
        _ => {
            cx.wrong_type(key, node, "a number", None);
            None
        }
    }
}

/// A number from 0 to 1, as scores are.
pub(super) fn fraction(key: &str, node: &Node, cx: &mut Context) -> Option<f64> {
    let value = number(key, node, cx)?;
    if (0.0..=1.0).contains(&value) {
        return Some(value);
    }
    let problem = node.mistake(format!("`{key}` must be from 0 to 1, not {value}"), "");
    cx.report(problem.hint("a score is a probability"));
    None
}

/// An integer of at least 1.
pub(super) fn count(key: &str, node: &Node, cx: &mut Context) -> Option<usize> {
    let Value::Integer(value) = node.value else {
        cx.wrong_type(key, node, "an integer", None);
        return None;
    };
    let count = usize::try_from(value).ok().filter(|count| *count > 0);
    if count.is_none() {
        cx.report(node.mistake(format!("`{key}` must be at least 1, not {value}"), ""));
    }
    count
}

pub(super) fn array<'a>(key: &str, node: &'a Node, cx: &mut Context, hint: Option<&str>) -> Option<&'a [Node]> {
    if let Value::Array(items) = &node.value {
        return Some(items);
    }
    cx.wrong_type(key, node, "an array", hint);
    None
}

pub(super) fn table<'a>(key: &str, node: &'a Node, cx: &mut Context, hint: Option<&str>) -> Option<&'a Table> {
    if let Value::Table(table) = &node.value {
        return Some(table);
    }
    cx.wrong_type(key, node, "a table", hint);
    None
}

/// The value as JSON: a date becomes its text.
pub(super) fn json(key: &str, node: &Node, cx: &mut Context) -> Option<serde_json::Value> {
    Some(match &node.value {
        Value::String(text) | Value::Datetime(text) => text.as_str().into(),
        Value::Integer(value) => (*value).into(),
        Value::Boolean(value) => (*value).into(),
        Value::Float(value) if value.is_finite() => (*value).into(),
        Value::Float(_) => {
            cx.report(
                node.mistake(format!("`{key}` must be finite"), "")
                    .hint("a record is JSON, which knows no other number"),
            );
            return None;
        }
        Value::Array(items) => items.iter().filter_map(|item| json(key, item, cx)).collect(),
        Value::Table(table) => json_object(table, cx).into(),
        Value::Invalid => return None,
    })
}

/// The table as a JSON object.
pub(super) fn json_object(table: &Table, cx: &mut Context) -> serde_json::Map<String, serde_json::Value> {
    let entries =
        table.0.iter().filter_map(|entry| Some((entry.key.value.clone(), json(&entry.key, &entry.node, cx)?)));
    entries.collect()
}
