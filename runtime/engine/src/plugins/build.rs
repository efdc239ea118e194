//! From what a pipeline says of plugins to steps that can run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use runtime_diagnostics::{Exit, Problem, Problems, nearest};
use runtime_models::ModelFolder;
use runtime_pipeline::{Grants, Pipeline, Plugin, PluginStep, Reference, Spanned, StepKind};
use runtime_plugin_host::{Error as PluginError, Fields, Granted, PluginFile, Slot, StepDescription, StepPlugin};
use runtime_tasks::{TaskKind, TaskOptions};
use serde_json::Value;

use super::record::{Asked, Resources};
use super::runner::PluginRunner;
use super::texts::{HeldTokenizer, Texts};
use crate::generation::How;
use crate::{Error, LanguageModel, Registry, Task};

/// What of a pipeline's grants the sandbox holds a plugin to.
pub(crate) fn granted(grants: &Grants) -> Granted {
    let Grants { memory_mib, time, log_text, .. } = *grants;
    Granted { memory: memory_mib.saturating_mul(1 << 20), time, log_text, by_pipeline: true }
}

/// The plugins of a pipeline, by the places that name them.
pub(crate) fn files(pipeline: &Pipeline) -> impl Iterator<Item = &Spanned<String>> {
    let of_models = pipeline.models.iter().filter_map(|model| Some(&model.plugin.as_ref()?.source));
    of_models.chain(pipeline.plugins.iter().map(|plugin| &plugin.file.source))
}

/// Where a model of the pipeline is, and how it is loaded.
pub(crate) type FindModel<'a> = dyn Fn(&str) -> Result<(ModelFolder, How), Error> + 'a;

/// The declared plugin of a step.
pub(crate) fn declared<'p>(pipeline: &'p Pipeline, step: &PluginStep) -> Option<&'p Plugin> {
    pipeline.plugins.iter().find(|plugin| *plugin.name == *step.plugin)
}

/// Loads the plugin of a step, and checks that pipeline and plugin fit.
///
/// # Errors
/// All that does not, each at its place.
pub(crate) fn load(
    pipeline: &Pipeline,
    name: &str,
    step: &PluginStep,
    base: &Path,
    registry: &Registry,
) -> Result<StepPlugin, Problems> {
    let Some(declared) = declared(pipeline, step) else { return Err(Problems::new()) };
    let file = registry.plugin_file(&declared.file, base);
    let loaded = file.and_then(|path| {
        let sha256 = declared.file.sha256.as_ref().map(|digits| digits.as_str());
        registry.step_plugin(PluginFile { path: &path, sha256 })
    });
    let plugin = loaded.map_err(|error| {
        let place = match (&error, &declared.file.sha256) {
            (Error::Plugin(PluginError::OtherDigest { .. }), Some(sha256)) => sha256,
            _ => &declared.file.source,
        };
        Problems::from_iter([Problem::of(&error).at(&place.source, place.span.clone(), "")])
    })?;
    let problems = check(pipeline, name, step, declared, plugin.description());
    problems.into_result(plugin)
}

/// What of a step does not fit its plugin.
fn check(
    pipeline: &Pipeline,
    name: &str,
    step: &PluginStep,
    declared: &Plugin,
    description: &StepDescription,
) -> Problems {
    let mut problems = Problems::new();
    let of = |slots: &[Slot], what: &str, wrong: &str| {
        let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        match nearest(wrong, names.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if names.is_empty() => format!("it has no {what}"),
            None => format!("its {what} are {}", quoted(&names)),
        }
    };
    let plugin = &description.name;
    for (input, _) in &step.inputs {
        if description.inputs.iter().all(|slot| slot.name != **input) {
            let problem = input.problem(Exit::Config, format!("the plugin `{plugin}` has no input `{}`", input.value));
            problems.push(problem.hint(of(&description.inputs, "inputs", input)));
        }
    }
    for slot in description.inputs.iter().filter(|slot| slot.required) {
        if step.inputs.iter().all(|(input, _)| **input != slot.name) {
            let message = format!("the plugin `{plugin}` needs the input `{}`: {}", slot.name, slot.summary);
            let hint = format!("say where it comes from: `inputs = {{ {} = \"FIELD\" }}`", slot.name);
            problems.push(step.plugin.problem(Exit::Config, message).hint(hint));
        }
    }
    if let Err(misfit) = description.fit_parameters(&step.parameters) {
        let message = format!("the parameters of the plugin `{plugin}` do not fit: {misfit}");
        let known: Vec<&str> = description.parameters.iter().map(|slot| slot.name.as_str()).collect();
        let problem = step.parameters.problem(Exit::Config, message);
        problems.push(match known.is_empty() {
            true => problem.hint("it has no parameters"),
            false => problem.hint(format!("its parameters are {}", quoted(&known))),
        });
    }
    let outputs = outputs_read(pipeline, name);
    for output in outputs.filter(|output| description.outputs.iter().all(|slot| slot.name != **output)) {
        let message = format!("the step `{name}` has no output `{output}`, for the plugin `{plugin}` gives none");
        let problem = step.plugin.problem(Exit::Config, message);
        problems.push(problem.hint(of(&description.outputs, "outputs", output)));
    }
    let needs = [
        ("model", "models", required(description.models.iter().map(|need| (&need.name, need.required)))),
        ("tokenizer", "tokenizers", required(description.tokenizers.iter().map(|need| (&need.name, need.required)))),
    ];
    for (what, key, needs) in needs {
        let granted = if what == "model" { &declared.grants.models } else { &declared.grants.tokenizers };
        for need in needs {
            if granted.iter().all(|(known, _)| known.as_str() != need) {
                let message = format!("the plugin `{plugin}` needs a {what} `{need}`, which is not granted");
                let hint = format!(
                    "grant it one: `{key} = {{ {need} = \"MODEL\" }}` in `[plugins.{}.grants]`",
                    declared.name.value
                );
                problems.push(declared.name.problem(Exit::Config, message).hint(hint));
            }
        }
    }
    problems
}

fn required<'a>(needs: impl Iterator<Item = (&'a String, bool)>) -> Vec<&'a str> {
    needs.filter(|(_, required)| *required).map(|(name, _)| name.as_str()).collect()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The outputs of a step that others read.
fn outputs_read<'p>(pipeline: &'p Pipeline, name: &'p str) -> impl Iterator<Item = &'p String> {
    let by_steps =
        pipeline.steps.iter().flat_map(|step| step.kind.inputs()).filter_map(move |input| match input.from {
            Reference::Output { step, output } if step.as_str() == name => Some(output),
            _ => None,
        });
    let written = pipeline.output.iter().filter(move |output| output.step.as_str() == name);
    by_steps.chain(written.map(|output| &output.output))
}

/// What of the pipeline's plugin steps does not fit their plugins, as far as their files are at hand. No model is loaded.
pub fn check_all(pipeline: &Pipeline, base: &Path, registry: &Registry) -> Problems {
    let mut problems = Problems::new();
    for step in &pipeline.steps {
        let StepKind::Plugin(plugin) = &step.kind else { continue };
        let at_hand = declared(pipeline, plugin).is_some_and(|declared| registry.has_plugin(&declared.file, base));
        if at_hand && let Err(found) = load(pipeline, step.name.as_str(), plugin, base, registry) {
            problems.extend(found);
        }
    }
    problems
}

/// A step that can run: its plugin with all that it is granted.
///
/// # Errors
/// All that cannot be had, each at its place.
pub(crate) fn runner(
    plugin: StepPlugin,
    step: &PluginStep,
    declared: &Plugin,
    registry: &Registry,
    find: &FindModel<'_>,
) -> Result<PluginRunner, Problems> {
    let description = plugin.description();
    let mut problems = Problems::new();
    let mut models = HashMap::new();
    for need in &description.models {
        let Some((_, model)) = declared.grants.models.iter().find(|(name, _)| name.as_str() == need.name) else {
            continue;
        };
        match asked(need.task, &need.parameters, find(model.as_str()), registry) {
            Ok(asked) => drop(models.insert(need.name.clone(), asked)),
            Err(error) => problems.push(Problem::of(&error).at(&model.source, model.span.clone(), "")),
        }
    }
    let mut tokenizers = HashMap::new();
    for (name, model) in &declared.grants.tokenizers {
        let tokenizer = find(model.as_str()).and_then(|(folder, _)| Ok(folder.tokenizer()?));
        match tokenizer {
            Ok(tokenizer) => drop(tokenizers.insert(name.to_string(), HeldTokenizer::own(tokenizer))),
            Err(error) => problems.push(Problem::of(&error).at(&model.source, model.span.clone(), "")),
        }
    }
    problems.into_result(())?;
    let texts = Texts {
        plugin: declared.name.to_string(),
        tokenizers,
        any: None,
        log_text: declared.grants.log_text,
        tell: registry.tell(),
    };
    let generated_tokens = declared.grants.generated_tokens;
    let resources = Arc::new(Resources { texts, models, generated_tokens });
    let inputs = step.inputs.iter().map(|(input, from)| {
        let required = description.inputs.iter().any(|slot| slot.name == **input && slot.required);
        (input.value.clone(), required, from.clone())
    });
    let inputs = inputs.collect();
    let parameters = step.parameters.value.clone();
    PluginRunner::new(plugin, inputs, parameters, granted(&declared.grants), resources).map_err(|error| {
        let place = if step.parameters.is_empty() { step.plugin.span.clone() } else { step.parameters.span.clone() };
        Problems::from_iter([Problem::of(&Error::from(error)).at(&step.plugin.source, place, "")])
    })
}

/// A model for what a plugin needs it for.
fn asked(
    task: &str,
    parameters: &Fields,
    found: Result<(ModelFolder, How), Error>,
    registry: &Registry,
) -> Result<Asked, Error> {
    let (folder, how) = found?;
    let how = how.options();
    let kind = TaskKind::ALL.into_iter().find(|kind| kind.name() == task).unwrap_or(TaskKind::TextGeneration);
    if kind == TaskKind::TextGeneration {
        return Ok(Asked::Writer(Box::new(LanguageModel::load(registry, &folder, how)?)));
    }
    let (mut parameters, mut fixed) = (parameters.clone(), Fields::new());
    // All labels, where the plugin does not say how many.
    if kind == TaskKind::TextClassification {
        parameters.entry("top_k").or_insert(Value::Null);
    }
    if let Some(labels) = parameters.shift_remove("candidate_labels") {
        fixed.insert("candidate_labels".to_owned(), labels);
    }
    let options = TaskOptions::read(kind, &parameters)?;
    let task = Task::load(registry, &folder, how, &options, true)?;
    Ok(Asked::Task { kind, task: Box::new(task), fixed })
}
