//! `runtime validate`: every mistake of a pipeline file, without loading a model.

use std::path::Path;

use runtime_diagnostics::{Exit, printable};
use runtime_engine::check_files;
use runtime_pipeline::{Pipeline, StepKind};

use crate::args::Validate;
use crate::failure::{Failure, report};
use crate::output::print;
use crate::project::Project;

pub(crate) fn run(options: &Validate) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for file in &options.pipelines {
        match check(&Project::new(file, &options.set)) {
            Ok(pipeline) => {
                print(&summary(file, &pipeline))?;
            }
            Err(failure) => exit = exit.max(failure.report()),
        }
    }
    Ok(exit)
}

fn check(project: &Project) -> Result<Pipeline, Failure> {
    let pipeline = project.read()?;
    report(&pipeline.warnings.iter().cloned().collect());
    Ok(check_files(&pipeline, project.base()).into_result(pipeline)?)
}

fn summary(file: &Path, pipeline: &Pipeline) -> String {
    let rungs = |kind: &StepKind| match kind {
        StepKind::Ladder(ladder) => ladder.rungs.len(),
        StepKind::ZeroShot(_) | StepKind::Generate(_) | StepKind::Task(_) => 0,
    };
    let rungs: usize = pipeline.steps.iter().map(|step| rungs(&step.kind)).sum();
    let counts = [
        (pipeline.steps.len(), "step"),
        (rungs, "rung"),
        (pipeline.models.len(), "model"),
        (pipeline.tests.len(), "test"),
    ];
    let counts = counts.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
    format!("{}: `{}` is valid ({})\n", file.display(), printable(&pipeline.name), counts.join(", "))
}
