//! What is wrong with parameters of a step, at the places where they are written.

use runtime_constraint::{Constraint, Error as ConstraintError};
use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_generation::{Error as GenerationError, GenerationConfig};
use runtime_pipeline::{Name, Pipeline, Spanned, Step, StepKind};
use serde_json::{Map, Value};

use crate::Error;

/// The parameters that are written of a step.
type Params = [(&'static str, Spanned<Value>)];

/// What is wrong with a step's constraint, whatever its model is.
pub(super) fn check(pipeline: &Pipeline, step: &Step) -> Option<Problem> {
    let (model, params) = of(step)?;
    let written = params.iter().filter(|(name, _)| Constraint::NAMES.contains(name));
    let written: Map<String, Value> = written.map(|(name, value)| ((*name).to_owned(), value.value.clone())).collect();
    let constraint = GenerationConfig::default().with_params(&written).ok()?.constraint?;
    let error = runtime_constraint::check(&constraint).err()?;
    // What an endpoint can follow is its own to say, but not that nothing can be followed.
    let hosted = pipeline.endpoints.iter().any(|endpoint| endpoint.name == **model);
    let is_certain = matches!(error, ConstraintError::Unsatisfiable { .. } | ConstraintError::Empty { .. });
    (is_certain || !hosted).then(|| misfit(&error.into(), params))?
}

/// The parameters of a step that generates, and its model.
fn of(step: &Step) -> Option<(&Spanned<Name>, &Params)> {
    match &step.kind {
        StepKind::Generate(step) => Some((&step.model, &step.params)),
        StepKind::Task(step) => Some((&step.model, &step.params)),
        StepKind::Ladder(_) | StepKind::ZeroShot(_) | StepKind::Plugin(_) => None,
    }
}

/// A failure that is about a parameter, where that is written.
pub(super) fn misfit(error: &Error, params: &Params) -> Option<Problem> {
    let is_meant = |name: &str| match error {
        Error::Param(error) => name == error.key,
        Error::Generate(GenerationError::Param { key, .. }) => name == key,
        Error::Constraint(_) => Constraint::NAMES.contains(&name),
        _ => false,
    };
    let (_, written) = params.iter().find(|(name, value)| is_meant(name) && !value.is_null())?;
    // In a file it is the file that is wrong, and not the command.
    let problem = written.problem(Exit::Config, error.to_string());
    Some(error.hint().into_iter().fold(problem, Problem::hint))
}
