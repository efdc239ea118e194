//! `runtime model merge`: a checkpoint with an adapter in it.

use runtime_diagnostics::Exit;
use runtime_engine::{Error, Options, Registry};
use runtime_models::{Adapter, Merged, ModelFolder, merge};

use crate::args::ModelMerge;
use crate::commands::model::source;
use crate::failure::Failure;
use crate::output::{number, print, say};

pub(crate) fn run(options: &ModelMerge) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { progress: true, ..Options::default() });
    let folder = registry.folder(&source(&options.model)?)?;
    let adapter = Adapter::open(&ModelFolder::new(&options.adapter)).map_err(Error::from)?;
    let merged = merge(&folder, &adapter, options.dtype.map(Into::into), &options.out).map_err(Error::from)?;
    let Merged { tensors, changed, bytes } = merged;
    let size = number(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6;
    say(&format!("{changed} of {tensors} tensors changed, {size:.1} MB written\n"));
    print(&format!("{}\n", options.out.display()))
}
