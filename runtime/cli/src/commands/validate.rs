//! `runtime validate`: every mistake of a pipeline file, without loading a model.

use std::path::Path;

use runtime_diagnostics::{Exit, printable};
use runtime_engine::{Options, Registry, check_files, check_plugins};
use runtime_pipeline::{Name, Pipeline, Plugin, Spanned, StepKind};

use crate::args::Validate;
use crate::failure::{Failure, report};
use crate::generating::aside;
use crate::output::print;
use crate::project::Project;

pub(crate) fn run(options: &Validate) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for file in &options.pipelines {
        match check(&Project::new(file, &options.set)) {
            Ok(pipeline) => {
                print(&summary(file, &pipeline))?;
                for plugin in &pipeline.plugins {
                    print(&grants(plugin))?;
                }
            }
            Err(failure) => exit = exit.max(failure.report()),
        }
    }
    Ok(exit)
}

fn check(project: &Project) -> Result<Pipeline, Failure> {
    let pipeline = project.read()?;
    report(&pipeline.warnings.iter().cloned().collect());
    let mut problems = check_files(&pipeline, project.base());
    problems.extend(check_plugins(
        &pipeline,
        project.base(),
        &Registry::new(Options { tell: aside, ..Options::default() }),
    ));
    Ok(problems.into_result(pipeline)?)
}

fn summary(file: &Path, pipeline: &Pipeline) -> String {
    let rungs = |kind: &StepKind| match kind {
        StepKind::Ladder(ladder) => ladder.rungs.len(),
        StepKind::ZeroShot(_) | StepKind::Generate(_) | StepKind::Task(_) | StepKind::Plugin(_) => 0,
    };
    let rungs: usize = pipeline.steps.iter().map(|step| rungs(&step.kind)).sum();
    let counts = [
        (pipeline.steps.len(), "step"),
        (rungs, "rung"),
        (pipeline.models.len(), "model"),
        (pipeline.plugins.len(), "plugin"),
        (pipeline.endpoints.len(), "endpoint"),
        (pipeline.tests.len(), "test"),
    ];
    // Few pipelines have endpoints or plugins.
    let counts = counts.into_iter().filter(|(count, what)| *count > 0 || !matches!(*what, "endpoint" | "plugin"));
    let counts = counts.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
    let counts: Vec<String> = counts.collect();
    format!("{}: `{}` is valid ({})\n", file.display(), printable(&pipeline.name), counts.join(", "))
}

/// What a plugin may do, on a line.
fn grants(plugin: &Plugin) -> String {
    let grants = &plugin.grants;
    let named = |what: &str, granted: &[(Spanned<Name>, Spanned<Name>)]| {
        let names = granted.iter().map(|(name, model)| match name.as_str() == model.as_str() {
            true => format!("`{}`", model.value),
            false => format!("`{}` as `{}`", model.value, name.value),
        });
        let names: Vec<String> = names.collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let tokens = grants.generated_tokens;
    let may = [
        named("ask", &grants.models),
        named("use the tokenizer of", &grants.tokenizers),
        (tokens > 0).then(|| format!("have {tokens} tokens generated for each record")),
        Some(format!("use {} MiB and compute {} s at a time", grants.memory_mib, grants.time.as_secs_f64())),
        grants.log_text.then(|| "log texts".to_owned()),
    ];
    let may: Vec<String> = may.into_iter().flatten().collect();
    format!("  the plugin `{}` may {}; nothing else\n", plugin.name.value, may.join(", "))
}
