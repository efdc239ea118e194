//! Plugins, what they are granted, and the steps that name them.

use std::time::Duration;

use serde_json::Map;

use super::context::Context;
use super::fields::Fields;
use super::steps::{local_model, reference};
use super::values;
use crate::name::Name;
use crate::plugin::{Grants, LogitsProcessor, Plugin, PluginSource, PluginStep};
use crate::spanned::Spanned;
use crate::tree::{Entry, Node, Value};
use runtime_tasks::InputType;

/// `[plugins]`.
pub(super) fn plugins(_key: &str, node: &Node, cx: &mut Context) -> Option<Vec<Plugin>> {
    let table = values::table("plugins", node, cx, Some("write each plugin as a table `[plugins.NAME]`"))?;
    Some(table.0.iter().filter_map(|entry| plugin(entry, cx)).collect())
}

fn plugin(entry: &Entry, cx: &mut Context) -> Option<Plugin> {
    let name = values::checked_name(&entry.key, cx);
    if let Some(name) = &name {
        cx.declare_plugin(name.clone());
    }
    let mut fields = Fields::of(&entry.node, "a plugin", cx)?;
    let file = file(&mut fields, cx);
    let grants = fields.optional("grants", cx, grants);
    fields.finish(cx);
    Some(Plugin { name: name?, file: file?, grants: grants.unwrap_or_default() })
}

/// `plugin = "FILE"` or `plugin = { source = "FILE", sha256 = "..." }` of a model.
pub(super) fn of_model(key: &str, node: &Node, cx: &mut Context) -> Option<PluginSource> {
    if !matches!(node.value, Value::Table(_)) {
        return Some(PluginSource { source: values::text(key, node, cx)?, sha256: None });
    }
    let mut fields = Fields::of(node, "a model's plugin", cx)?;
    let file = file(&mut fields, cx);
    fields.finish(cx);
    file
}

fn file(fields: &mut Fields<'_>, cx: &mut Context) -> Option<PluginSource> {
    let source = fields.required("source", cx, values::text);
    let sha256 = fields.optional("sha256", cx, sha256);
    Some(PluginSource { source: source?, sha256 })
}

fn sha256(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<String>> {
    let digits = values::text(key, node, cx)?;
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Some(digits);
    }
    let problem = node.mistake(format!("`{key}` must be 64 hexadecimal digits"), "");
    cx.report(problem.hint("`runtime plugin inspect FILE` prints those of a file"));
    None
}

/// The longest that a plugin may compute for a record, in seconds.
const LONGEST: f64 = 3600.0;

/// The most memory of an instance, in MiB: all that 32 bits can address.
const LARGEST: usize = 4096;

fn grants(_key: &str, node: &Node, cx: &mut Context) -> Option<Grants> {
    let mut fields = Fields::of(node, "the grants of a plugin", cx)?;
    let models = fields.optional("models", cx, |key, node, cx| granted_models(key, node, MODELS, cx));
    let tokenizers = fields.optional("tokenizers", cx, |key, node, cx| granted_models(key, node, TOKENIZERS, cx));
    let generated_tokens = fields.optional("generated_tokens", cx, values::count);
    let memory_mib = fields.optional("memory_mib", cx, |key, node, cx| {
        let memory = values::count(key, node, cx)?;
        if memory > LARGEST {
            cx.report(node.mistake(format!("`{key}` can be {LARGEST} at most"), ""));
        }
        Some(memory)
    });
    let seconds = fields.optional("seconds", cx, |key, node, cx| {
        let seconds = values::number(key, node, cx)?;
        if seconds > 0.0 && seconds <= LONGEST {
            return Some(Duration::from_secs_f64(seconds));
        }
        cx.report(node.mistake(format!("`{key}` must be above 0, and {LONGEST} at most"), ""));
        None
    });
    let log_text = fields.optional("log_text", cx, values::boolean);
    fields.finish(cx);
    Some(Grants {
        models: models.unwrap_or_default(),
        tokenizers: tokenizers.unwrap_or_default(),
        generated_tokens: generated_tokens.unwrap_or_default(),
        memory_mib: memory_mib.unwrap_or(Grants::DEFAULT_MEMORY_MIB),
        time: seconds.unwrap_or(Grants::DEFAULT_TIME),
        log_text: log_text.unwrap_or_default(),
    })
}

const MODELS: &str = "a plugin calls models that run here; a step of kind `chat` asks such a model";
const TOKENIZERS: &str = "its tokenizer is not here either";

/// `NAME_OF_THE_PLUGIN = "MODEL_OF_THE_PIPELINE"`.
fn granted_models(
    key: &str,
    node: &Node,
    instead: &str,
    cx: &mut Context,
) -> Option<Vec<(Spanned<Name>, Spanned<Name>)>> {
    let table =
        values::table(key, node, cx, Some("write what the plugin calls it, and the model: `writer = \"llm\"`"))?;
    let granted = |entry: &Entry| {
        let name = values::checked_name(&entry.key, cx);
        let model = local_model(&entry.key, &entry.node, instead, cx);
        Some((name?, model?))
    };
    Some(table.0.iter().filter_map(granted).collect())
}

/// The rest of a step of kind `plugin`.
pub(super) fn step(node: &Node, mut fields: Fields<'_>, cx: &mut Context) -> Option<PluginStep> {
    let plugin = fields.required("plugin", cx, declared);
    let inputs = fields.optional("inputs", cx, |key, node, cx| {
        let hint = "write what the plugin calls it, and a field or `step.output`: `text = \"text\"`";
        let table = values::table(key, node, cx, Some(hint))?;
        let input = |entry: &Entry| Some((entry.key.clone(), reference(&entry.key, &entry.node, InputType::Any, cx)?));
        Some(table.0.iter().filter_map(input).collect())
    });
    let parameters = fields.optional("parameters", cx, |key, node, cx| {
        let table = values::table(key, node, cx, None)?;
        Some(node.with(values::json_object(table, cx)))
    });
    fields.finish(cx);
    let parameters = parameters.unwrap_or_else(|| node.with(Map::new()));
    Some(PluginStep { plugin: plugin?, inputs: inputs.unwrap_or_default(), parameters })
}

/// A declared plugin.
fn declared(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<Name>> {
    let name = values::name(key, node, cx)?;
    cx.use_plugin(&name);
    Some(name)
}

/// `logits_processors`: names of plugins, or tables with their parameters.
pub(super) fn processors(key: &str, node: &Node, cx: &mut Context) -> Option<Vec<LogitsProcessor>> {
    let items = values::array(key, node, cx, Some("write the names of plugins: `[\"NAME\"]`"))?;
    Some(items.iter().filter_map(|item| processor(key, item, cx)).collect())
}

fn processor(key: &str, node: &Node, cx: &mut Context) -> Option<LogitsProcessor> {
    if !matches!(node.value, Value::Table(_)) {
        return Some(LogitsProcessor { plugin: declared(key, node, cx)?, parameters: Map::new() });
    }
    let mut fields = Fields::of(node, "a processor of scores", cx)?;
    let plugin = fields.required("plugin", cx, declared);
    let parameters = fields
        .optional("parameters", cx, |key, node, cx| Some(values::json_object(values::table(key, node, cx, None)?, cx)));
    fields.finish(cx);
    Some(LogitsProcessor { plugin: plugin?, parameters: parameters.unwrap_or_default() })
}
