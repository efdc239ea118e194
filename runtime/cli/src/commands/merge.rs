//! `runtime model merge`.
use runtime_diagnostics::Exit;

use crate::args::ModelMerge;
use crate::failure::Failure;

pub(crate) fn run(_options: &ModelMerge) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
