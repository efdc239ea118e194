//! `runtime verify`: recorded results of Hugging Face transformers, compared with this program's.

use runtime_diagnostics::{Exit, Problem, printable};
use runtime_engine::{CaseSet, Outcome, Registry, VerifyError};

use crate::args::Verify;
use crate::commands::devices;
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn run(options: &Verify) -> Result<Exit, Failure> {
    let mut cases = CaseSet::open(&options.folder)?;
    cases.keep(&options.task, &options.model)?;
    let registry = Registry::new(devices::options(&options.device));
    let (mut failed, mut unprinted) = (0, None);
    cases.run(&registry, |outcome| {
        if let Some(line) = line(&outcome) {
            failed += 1;
            unprinted = unprinted.take().or(print(&line).err());
        }
    });
    if let Some(failure) = unprinted {
        return Err(failure);
    }
    print(&format!("{} passed, {failed} failed\n", cases.len() - failed))?;
    Ok(if failed > 0 { Exit::Failed } else { Exit::Ok })
}

/// What is said of a case that fails.
fn line(outcome: &Outcome<'_>) -> Option<String> {
    let failure = outcome.failure.as_deref()?;
    Some(format!("FAILED {}: {}\n", printable(outcome.id), printable(failure)))
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Problem::of(&error).into()
    }
}
