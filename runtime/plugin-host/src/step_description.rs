//! What a step says of itself, and the rules for it.

use crate::records::{Fields, Misfit, Slot, check_name, check_slots, check_summary, fit};
use crate::text;

/// What a step says of itself; checked when it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDescription {
    /// Its name, such as `redact-pii`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it does, for people.
    pub summary: String,
    /// What it reads of a record.
    pub inputs: Vec<Slot>,
    /// What it gives, at least one.
    pub outputs: Vec<Slot>,
    /// What it is set up with.
    pub parameters: Vec<Slot>,
    /// The models that it calls.
    pub models: Vec<ModelNeed>,
    /// The tokenizers that it calls.
    pub tokenizers: Vec<TokenizerNeed>,
}

/// A model that a step calls.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelNeed {
    /// What the step calls it.
    pub name: String,
    /// What it is to do, such as `text-classification`.
    pub task: &'static str,
    /// The task's parameters.
    pub parameters: Fields,
    /// Whether the step does not do without.
    pub required: bool,
}

/// A tokenizer that a step calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerNeed {
    /// What the step calls it.
    pub name: String,
    /// Whether the step does not do without.
    pub required: bool,
}

/// Models or tokenizers, at most.
const NEEDS: usize = 16;

/// Bytes of a version, at most.
const VERSION: usize = 64;

impl StepDescription {
    /// Whether parameters are those that the step is set up with.
    ///
    /// # Errors
    /// The first that is not.
    pub fn fit_parameters(&self, parameters: &Fields) -> Result<(), Misfit> {
        fit(&self.parameters, parameters)
    }

    /// The rule that is broken, if any.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_plugin(&self.name, &self.version, &self.summary)?;
        check_slots("input", &self.inputs)?;
        check_slots("output", &self.outputs)?;
        check_slots("parameter", &self.parameters)?;
        if self.outputs.is_empty() {
            return Err("it has no output".to_owned());
        }
        check_needs("model", &self.models.iter().map(|need| need.name.as_str()).collect::<Vec<_>>())?;
        check_needs("tokenizer", &self.tokenizers.iter().map(|need| need.name.as_str()).collect::<Vec<_>>())
    }
}

/// The rule that names, versions and summaries of plugins break, if any.
pub(crate) fn check_plugin(name: &str, version: &str, summary: &str) -> Result<(), String> {
    check_name("name", name)?;
    if version.is_empty() || version.len() > VERSION || !text::is_printable(version) {
        return Err(format!("the version is empty, not printable, or longer than {VERSION} bytes"));
    }
    check_summary("plugin", summary)
}

fn check_needs(what: &str, names: &[&str]) -> Result<(), String> {
    if names.len() > NEEDS {
        return Err(format!("it calls {} {what}s; there can be {NEEDS}", names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        check_name(what, name)?;
        if names[..index].contains(name) {
            return Err(format!("it has two {what}s called `{name}`"));
        }
    }
    Ok(())
}
