//! The files that a pipeline names, other than its own, and what else can be checked without a model.

use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Problem, Problems};
use runtime_hub::{ModelSource, PluginSource};
use runtime_pipeline::{Labels, Pipeline, Spanned};

use super::{beside, endpoints, params};
use crate::plugins;

/// Files and model folders whose change makes the pipeline answer otherwise. What the hub's cache holds is left out:
/// it is never changed, only added to.
pub fn dependencies(pipeline: &Pipeline, base: &Path) -> Vec<PathBuf> {
    named(pipeline, base).into_iter().map(|named| named.path).collect()
}

/// What of these files is not there, which sources of models and endpoints are none, and which constraints no model can
/// follow, each at the place that names it. Neither the network nor a key is needed.
pub fn check_files(pipeline: &Pipeline, base: &Path) -> Problems {
    let mut problems: Problems = pipeline
        .models
        .iter()
        .filter_map(|model| {
            let error = ModelSource::parse(&model.source).err()?;
            Some(Problem::of(&error).at(&model.source.source, model.source.span.clone(), ""))
        })
        .chain(plugins::files(pipeline).filter_map(|source| {
            let error = PluginSource::parse(source).err()?;
            Some(Problem::of(&error).at(&source.source, source.span.clone(), ""))
        }))
        .chain(pipeline.endpoints.iter().filter_map(endpoints::check))
        .chain(pipeline.steps.iter().filter_map(|step| params::check(pipeline, step)))
        .collect();
    let named = named(pipeline, base).into_iter();
    named.filter(|named| !named.path.exists()).for_each(|named| problems.push(named.missing()));
    problems
}

struct Named<'a> {
    path: PathBuf,
    what: &'static str,
    place: Place<'a>,
}

/// Where a file is named: as a path, or as a model's source.
enum Place<'a> {
    Path(&'a Spanned<PathBuf>),
    Source(&'a Spanned<String>),
}

impl Named<'_> {
    fn missing(&self) -> Problem {
        let problem =
            Problem::new(Exit::NoInput, format!("the {} `{}` does not exist", self.what, self.path.display()));
        match self.place {
            Place::Path(path) => problem.at(&path.source, path.span.clone(), ""),
            Place::Source(source) => problem.at(&source.source, source.span.clone(), ""),
        }
    }
}

fn named<'a>(pipeline: &'a Pipeline, base: &Path) -> Vec<Named<'a>> {
    let file = |what, path: &'a Spanned<PathBuf>| Named { path: beside(base, path), what, place: Place::Path(path) };
    let mut named: Vec<Named<'_>> = pipeline.input.file.iter().map(|path| file("input file", path)).collect();
    for model in &pipeline.models {
        let source = ModelSource::parse(&model.source).map(|source| source.resolved_from(base));
        if let Ok(ModelSource::Folder(path)) = source {
            named.push(Named { path, what: "model", place: Place::Source(&model.source) });
        }
        named.extend(model.adapters.iter().map(|(_, path)| file("adapter", path)));
        named.extend(model.adapter.iter().map(|path| file("adapter", path)));
    }
    named.extend(plugins::files(pipeline).filter_map(|source| {
        match PluginSource::parse(source).map(|source| source.resolved_from(base)) {
            Ok(PluginSource::File(path)) => Some(Named { path, what: "plugin", place: Place::Source(source) }),
            _ => None,
        }
    }));
    named.extend(pipeline.steps.iter().filter_map(|step| match step.kind.labels() {
        Some(Labels::File(path)) => Some(file("label file", path)),
        Some(Labels::Inline(_)) | None => None,
    }));
    named
}
