//! A pipeline, built: immutable, over loaded models, ready to answer records.

mod answer;
mod build;
mod endpoints;
mod files;
mod params;

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_diagnostics::Problem;
use runtime_pipeline::{Pipeline, Reference};
use runtime_tasks::{InputType, TaskKind};
use serde_json::{Map, Value};

use crate::ladder::Ladder;
use crate::plugins::PluginRunner;
use crate::writer::Writer;
use crate::{Task, ZeroShot};

pub use answer::{RecordError, type_name};
pub(crate) use build::How;
pub use files::{check_files, dependencies};

/// A pipeline that can answer records.
pub struct Generation {
    pipeline: Pipeline,
    steps: Vec<Step>,
    notes: Vec<RungNote>,
    warnings: Vec<Problem>,
}

/// A step, with its models.
struct Step {
    name: String,
    /// The field of the step's input, what it holds, and where it comes from.
    inputs: Vec<(String, InputType, Reference)>,
    does: Does,
}

enum Does {
    Ladder(Ladder),
    ZeroShot(ZeroShot),
    Generate(Writer),
    Task(TaskKind, Box<Task>),
    Plugin(Box<PluginRunner>),
}

/// A rung whose model cannot be had, so that its `otherwise` is what it answers.
#[derive(Clone, Debug)]
pub struct RungNote {
    /// The step.
    pub step: String,
    /// The rung.
    pub rung: String,
    /// What it answers instead.
    pub otherwise: String,
    /// Why, and what would change it.
    pub problem: Problem,
}

/// What came of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The fields of the pipeline's output section, none of which the record has.
    pub outputs: Map<String, Value>,
    /// For each ladder of the pipeline, its step and the rung that answered.
    pub rungs: Vec<(String, Option<String>)>,
    /// The time that models spent on it: its share of the batches that it was in, not the waiting for them.
    pub time: Duration,
    /// Texts that were cut off, being longer than a model takes.
    pub truncated: usize,
}

impl Generation {
    /// The pipeline that it was built from.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Rungs whose models cannot be had.
    pub fn notes(&self) -> &[RungNote] {
        &self.notes
    }

    /// What can be answered, but is hardly meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The ladders, each as its step's name and the names of its rungs, in the order of [`Answer::rungs`].
    pub fn ladders(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.steps.iter().filter_map(|step| match &step.does {
            Does::Ladder(ladder) => Some((&*step.name, ladder.rungs.iter().map(|rung| &*rung.name).collect())),
            Does::ZeroShot(_) | Does::Generate(_) | Does::Task(..) | Does::Plugin(_) => None,
        })
    }
}

/// A path of a pipeline file, from the folder of that file.
fn beside(base: &Path, path: &Path) -> PathBuf {
    base.join(path).components().collect()
}
