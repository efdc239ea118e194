//! `runtime model`: what a model is made of, and getting one.

use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Problem};
use runtime_engine::{Error, Options, PluginFile, Registry};
use runtime_graph::Head;
use runtime_hub::ModelSource;

use crate::args::{ModelFetch, ModelGraph};
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn graph(options: &ModelGraph) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { progress: true, ..Options::default() });
    let source = source(&options.model)?;
    let folder = registry.folder(&source)?;
    let head = match options.head {
        Some(head) => head,
        None => folder.config().map_err(Error::from)?.head.unwrap_or(Head::Base),
    };
    let plugin = options.plugin.as_deref().map(|name| registry.named_plugin(name)).transpose()?;
    let graph = registry.graph(&folder, plugin.as_ref().map(PluginFile::from), head)?;
    print(&graph.to_string())
}

pub(crate) fn fetch(options: &ModelFetch) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { progress: true, ..Options::default() });
    let ModelSource::Hub(repo) = source(&options.model)? else {
        let message = format!("`{}` is on this machine, and only models of the hub are downloaded", options.model);
        return Err(Problem::new(Exit::Usage, message).hint("name one as `org/name`").into());
    };
    let path = registry.hub()?.fetch(&repo, true).map_err(Error::from)?;
    print(&format!("{}\n", path.display()))
}

/// A model as the command line names it.
pub(crate) fn source(text: &str) -> Result<ModelSource, Failure> {
    // Of a folder or a file that is there, the dot may be left out.
    if Path::new(text).exists() {
        return Ok(ModelSource::Folder(PathBuf::from(text)));
    }
    let source = ModelSource::parse(text).map_err(Error::from)?;
    Ok(source.resolved_from(Path::new("")))
}
