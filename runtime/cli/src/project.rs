//! A pipeline file: read, checked, built.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Problem, Problems, Source};
use runtime_engine::{Generation, Registry};
use runtime_pipeline::{Override, Pipeline, parse, parse_without_tests};

use crate::args::PipelineArgs;
use crate::failure::{Failure, IoError, report};

/// A pipeline's file and what the command line changes in it.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    file: PathBuf,
    overrides: Vec<Override>,
}

impl Project {
    pub(crate) fn new(file: &Path, overrides: &[Override]) -> Self {
        Self { file: file.to_owned(), overrides: overrides.to_vec() }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The folder that the pipeline's paths start from.
    pub(crate) fn base(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Reads and checks the file.
    pub(crate) fn read(&self) -> Result<Pipeline, Failure> {
        self.read_as(parse)
    }

    /// Reads and checks the file but for its tests, for what has no use for them.
    pub(crate) fn read_without_tests(&self) -> Result<Pipeline, Failure> {
        self.read_as(parse_without_tests)
    }

    fn read_as(&self, parse: fn(&Source, &[Override]) -> Result<Pipeline, Problems>) -> Result<Pipeline, Failure> {
        let name = self.file.display().to_string();
        let bytes = fs::read(&self.file).map_err(|source| IoError::Read { name: name.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(Exit::Config, format!("`{name}` is not UTF-8 from byte {at} on"))
        })?;
        Ok(parse(&Source::new(name, text), &self.overrides)?)
    }

    /// Builds what was read, and prints the warnings of both.
    pub(crate) fn build(&self, pipeline: Pipeline, registry: &Registry) -> Result<Generation, Failure> {
        report(&pipeline.warnings.iter().cloned().collect());
        let generation = Generation::build(pipeline, self.base(), registry)?;
        report(&generation.warnings().iter().cloned().collect());
        Ok(generation)
    }
}

impl From<&PipelineArgs> for Project {
    fn from(args: &PipelineArgs) -> Self {
        Self::new(&args.pipeline, &args.set)
    }
}
