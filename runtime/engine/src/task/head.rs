//! Loads a model for a task, and says what a model can do that lacks the task's head.

use std::sync::Arc;

use runtime_graph::{Fault, Head};
use runtime_models::{Error as ModelError, ModelFolder};
use runtime_tasks::TaskKind;

use crate::registry::{LoadOptions, LoadedModel};
use crate::{Error, Registry};

/// The model of a folder with the head that a task needs.
///
/// # Errors
/// Where the model was trained with another head, or cannot be loaded.
pub(crate) fn load(
    registry: &Registry,
    folder: &ModelFolder,
    how: LoadOptions<'_>,
    task: TaskKind,
) -> Result<Arc<LoadedModel>, Error> {
    let needed = task.head();
    let trained = folder.config()?.head;
    let other =
        || Error::OtherTask { folder: folder.path().to_owned(), task, can: tasks(registry, folder, how, trained) };
    // The weights of one head may happen to fit another, as those of a token classifier do; what they say would be
    // meaningless.
    if needed != Head::Base && trained.is_some_and(|trained| trained != Head::Base && trained != needed) {
        return Err(other());
    }
    registry.load(folder, how, needed).map_err(|error| {
        let lacks = matches!(&error, Error::Model(error) if lacks_head(error));
        if needed != Head::Base && trained != Some(needed) && lacks { other() } else { error }
    })
}

/// Whether the architecture or the checkpoint has no such head.
fn lacks_head(error: &ModelError) -> bool {
    match error {
        ModelError::NoHead { .. } => true,
        ModelError::Graph { source, .. } => matches!(source.fault, Fault::NoWeight { .. }),
        _ => false,
    }
}

/// The tasks whose head the model was trained with, or, where it does not say, for which it has the weights.
fn tasks(registry: &Registry, folder: &ModelFolder, how: LoadOptions<'_>, trained: Option<Head>) -> Vec<TaskKind> {
    let can = |head: &Head| {
        let meant = *head == Head::Base || trained.is_none_or(|trained| trained == *head || trained == Head::Base);
        meant && registry.graph(folder, how.plugin, *head).is_ok()
    };
    let heads: Vec<Head> = Head::ALL.into_iter().filter(can).collect();
    TaskKind::ALL.into_iter().filter(|task| heads.contains(&task.head())).collect()
}
