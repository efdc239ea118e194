//! The cache on disk, read only: `models--org--name/{refs/REVISION, snapshots/COMMIT/..., blobs/...}`.
//!
//! A branch or tag has a file in `refs` that holds the commit's hash; a commit's hash names its snapshot itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::source::is_name;
use crate::{Error, Repo};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
pub(crate) const MODULES: &str = "modules.json";

/// The folder of everything the cache has of `repo`.
pub(crate) fn repo_folder(cache: &Path, repo: &Repo) -> PathBuf {
    cache.join(format!("models--{}", repo.id.replace('/', "--")))
}

/// The folder of the files of one commit.
pub(crate) fn snapshot_at(cache: &Path, repo: &Repo, commit: &str) -> PathBuf {
    repo_folder(cache, repo).join("snapshots").join(commit)
}

/// The snapshot that the revision of `repo` stands for, where the cache knows the revision. It may be incomplete.
pub(crate) fn snapshot(cache: &Path, repo: &Repo) -> Result<Option<PathBuf>, Error> {
    let reference = repo_folder(cache, repo).join("refs").join(&repo.revision);
    let commit = match fs::read_to_string(&reference) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if is_absent(&error) => repo.revision.clone(),
        Err(source) => return Err(Error::Read { path: reference, source }),
    };
    let folder = snapshot_at(cache, repo, &commit);
    Ok((is_name(&commit) && folder.is_dir()).then_some(folder))
}

/// Also where the reference is a folder: `refs/release` beside `refs/release/v2`.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory)
}

/// The first file that a model needs and `snapshot` lacks.
pub(crate) fn lacking(repo: &Repo, snapshot: &Path) -> Result<Option<String>, Error> {
    // A link whose blob is gone does not `exist`.
    let absent = |name: &str| !snapshot.join(name).exists();
    if let Some(file) = [CONFIG, TOKENIZER].into_iter().find(|file| absent(file)) {
        return Ok(Some(file.to_owned()));
    }
    let layers = modules(snapshot)?.into_iter().filter(Module::has_weights);
    if let Some(file) = layers.map(|layer| format!("{}/{WEIGHTS}", layer.path)).find(|file| absent(file)) {
        return Ok(Some(file));
    }
    match (absent(WEIGHTS), absent(INDEX)) {
        (false, _) => Ok(None),
        (true, true) => Ok(Some(WEIGHTS.to_owned())),
        (true, false) => Ok(shards(repo, snapshot)?.into_iter().find(|shard| absent(shard))),
    }
}

/// The files that the index of `snapshot` spreads the weights over, each a safe path to a safetensors file.
pub(crate) fn shards(repo: &Repo, snapshot: &Path) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let shards: BTreeSet<String> = read_json::<Index>(&snapshot.join(INDEX))?.weight_map.into_values().collect();
    for shard in &shards {
        refuse_escape(repo, shard)?;
        if !shard.ends_with(".safetensors") {
            return Err(Error::Pickle { repo: repo.clone(), file: shard.clone() });
        }
    }
    Ok(shards)
}

/// A module of a sentence-transformers model.
#[derive(Deserialize)]
pub(crate) struct Module {
    /// Its folder.
    pub(crate) path: String,
    /// Its class.
    #[serde(default, rename = "type")]
    class: String,
}

impl Module {
    /// Whether it cannot do without weights of its own.
    fn has_weights(&self) -> bool {
        self.class.rsplit('.').next() == Some("Dense")
    }
}

/// A sentence-transformers model's modules with a folder, as `modules.json` names them; none without the file.
pub(crate) fn modules(snapshot: &Path) -> Result<Vec<Module>, Error> {
    let path = snapshot.join(MODULES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let modules: Vec<Module> = read_json(&path)?;
    Ok(modules.into_iter().filter(|module| !module.path.is_empty()).collect())
}

/// Fails unless `name`, joined to a folder, stays below it.
pub(crate) fn refuse_escape(repo: &Repo, name: &str) -> Result<(), Error> {
    let inside = |component| matches!(component, Component::Normal(_));
    if !name.is_empty() && Path::new(name).components().all(inside) {
        return Ok(());
    }
    Err(Error::UnsafeName { repo: repo.clone(), name: name.to_owned() })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}
