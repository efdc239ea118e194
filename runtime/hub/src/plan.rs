//! Which of a repository's files to download; knows names only.
//!
//! Two steps, since the second depends on the contents of the first: the small files at the top, then what
//! `modules.json` and the index of the weights name. The weights come last, so that a snapshot that has them has
//! everything.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cache::{self, CONFIG, INDEX, TOKENIZER, WEIGHTS};
use crate::{Error, Repo};

/// What of a repository with the files `listed` is needed before anything can be said of the rest.
///
/// # Errors
/// Where the repository has no model that could be run, or lists a file outside itself.
pub(crate) fn first<'a>(repo: &Repo, listed: &BTreeSet<&'a str>) -> Result<Vec<&'a str>, Error> {
    listed.iter().try_for_each(|name| cache::refuse_escape(repo, name))?;
    let lacks = |file: &str| Error::Lacks { repo: repo.clone(), file: file.to_owned() };
    if let Some(file) = [CONFIG, TOKENIZER].into_iter().find(|file| !listed.contains(file)) {
        return Err(lacks(file));
    }
    if !listed.contains(WEIGHTS) && !listed.contains(INDEX) {
        let pickle = listed.iter().find(|name| name.starts_with("pytorch_model") && name.ends_with(".bin"));
        return Err(match pickle {
            Some(file) => Error::Pickle { repo: repo.clone(), file: (*file).to_owned() },
            None => lacks(WEIGHTS),
        });
    }
    Ok(listed.iter().copied().filter(|name| is_small(name)).collect())
}

/// What the files of [`first`], now in `snapshot`, name of those `listed`.
///
/// # Errors
/// Where one of those files is malformed, or names weights that are not there.
pub(crate) fn second(repo: &Repo, listed: &BTreeSet<&str>, snapshot: &Path) -> Result<Vec<String>, Error> {
    let modules = cache::modules(snapshot)?.into_iter();
    let named = modules.flat_map(|module| [CONFIG, WEIGHTS].map(|file| format!("{}/{file}", module.path)));
    // A module without parameters, such as normalization, may have neither configuration nor weights.
    let mut files: Vec<String> = named.filter(|file| listed.contains(file.as_str())).collect();
    let weights =
        if listed.contains(INDEX) { cache::shards(repo, snapshot)? } else { BTreeSet::from([WEIGHTS.to_owned()]) };
    if let Some(file) = weights.iter().find(|file| !listed.contains(file.as_str())) {
        return Err(Error::Lacks { repo: repo.clone(), file: file.clone() });
    }
    files.extend(weights);
    Ok(files)
}

/// Configuration, tokenizer, templates and a sandboxed architecture. The suffixes are a list of what is wanted, not
/// of what is refused: no pickle, script or other format gets in by having a name nobody thought of.
fn is_small(name: &str) -> bool {
    // The hub's client puts names into URLs as they are.
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+'));
    let foreign = name.contains("onnx") || name.contains("openvino");
    plain && !foreign && (name.ends_with(".json") || name.ends_with(".jinja") || name == "architecture.wasm")
}
