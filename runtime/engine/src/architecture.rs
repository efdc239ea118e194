//! Which architecture describes a model: a plugin that is named, one that the folder brings along, or a built-in one.

use runtime_graph::{Catalog, Graph, Head};
use runtime_models::{Describe, Error as ModelError, Model, ModelConfig, ModelFolder};
use runtime_plugin_host::{Plugin, PluginFile};

use crate::Error;

/// An architecture, wherever it comes from.
pub enum Architecture {
    /// Compiled into this program.
    BuiltIn(&'static runtime_graph::Architecture),
    /// A sandboxed component.
    Plugin(Plugin),
}

impl Architecture {
    /// The architecture for a folder's model; `load` loads a plugin.
    ///
    /// # Errors
    /// Where nothing describes such a model, or the plugin cannot be loaded or is for others.
    pub fn choose(
        folder: &ModelFolder,
        config: &ModelConfig,
        named: Option<PluginFile<'_>>,
        load: impl FnOnce(PluginFile<'_>) -> Result<Plugin, Error>,
    ) -> Result<Self, Error> {
        let brought = folder.plugin();
        let Some(file) = named.or(brought.as_ref().map(PluginFile::from)) else {
            return Ok(Self::BuiltIn(Model::built_in(folder, config)?));
        };
        let plugin = load(file)?;
        let serves = &plugin.description().model_types;
        if serves.contains(&config.model_type) {
            return Ok(Self::Plugin(plugin));
        }
        Err(Error::OtherModel {
            serves: serves.clone(),
            plugin: file.path.to_owned(),
            model_type: config.model_type.clone(),
        })
    }

    /// What tells it apart from others: a plugin's digest.
    pub(crate) fn digest(&self) -> Option<String> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Plugin(plugin) => Some(plugin.digest().to_string()),
        }
    }
}

impl Describe for Architecture {
    fn name(&self) -> &str {
        match self {
            Self::BuiltIn(architecture) => architecture.name,
            Self::Plugin(plugin) => &plugin.description().name,
        }
    }

    fn base_prefix(&self) -> &str {
        match self {
            Self::BuiltIn(architecture) => architecture.base_prefix,
            Self::Plugin(plugin) => &plugin.description().base_prefix,
        }
    }

    fn heads(&self) -> &[Head] {
        match self {
            Self::BuiltIn(architecture) => architecture.heads,
            Self::Plugin(plugin) => &plugin.description().heads,
        }
    }

    fn graph(
        &self,
        folder: &ModelFolder,
        config: &ModelConfig,
        head: Head,
        catalog: Catalog,
    ) -> Result<Graph, ModelError> {
        match self {
            Self::BuiltIn(architecture) => architecture.graph(folder, config, head, catalog),
            Self::Plugin(plugin) => plugin
                .build(&config.text, head, catalog)
                .map_err(|source| ModelError::Plugin { folder: folder.path().to_owned(), source: Box::new(source) }),
        }
    }
}
