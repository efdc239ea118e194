//! The names of models: parsed once, so that what reaches a path or a URL is known to be harmless.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use runtime_diagnostics::{Exit, Explain};
use thiserror::Error;

/// Where a model comes from, as a pipeline or the command line names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelSource {
    /// A folder with the model's files, as it was written: `./p`, `../p`, `/p`, `~/p`; or a GGUF file: `p.gguf`.
    Folder(PathBuf),
    /// A repository of the hub: `org/name` or `org/name@revision`.
    Hub(Repo),
}

impl ModelSource {
    /// Reads either form; opens nothing.
    ///
    /// ```
    /// use runtime_hub::ModelSource;
    /// assert!(matches!(ModelSource::parse("./minilm")?, ModelSource::Folder(_)));
    /// assert!(matches!(ModelSource::parse("sentence-transformers/all-MiniLM-L6-v2")?, ModelSource::Hub(_)));
    /// assert!(matches!(ModelSource::parse("models/minilm.gguf")?, ModelSource::Folder(_)));
    /// assert!(ModelSource::parse("minilm").is_err());
    /// # Ok::<(), runtime_hub::SourceError>(())
    /// ```
    ///
    /// # Errors
    /// Where `text` has neither form. A bare `name` is refused rather than guessed at: it could be both.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if names_path(Path::new(text)) {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let (id, revision) = text.split_once('@').unwrap_or((text, Repo::DEFAULT_REVISION));
        if id.split('/').count() != 2 {
            return Err(SourceError::Form { text: text.to_owned() });
        }
        Repo::new(id, revision).map(Self::Hub)
    }

    /// The same source with a relative folder joined to `base`, such as the folder of the pipeline's file, and `~`
    /// replaced by the home folder. A hub repository is returned as it is.
    #[must_use]
    pub fn resolved_from(self, base: &Path) -> Self {
        match self {
            // Collecting the components drops the `.` in the middle of `base/./p`.
            Self::Folder(path) => Self::Folder(base.join(expand_home(&path)).components().collect()),
            hub @ Self::Hub(_) => hub,
        }
    }
}

/// Writes the form that [`ModelSource::parse`] reads.
impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) if names_path(path) => path.display().fmt(f),
            // Relative after joining with a relative base: without the dot it would read as a repository.
            Self::Folder(path) => write!(f, "./{}", path.display()),
            Self::Hub(repo) => repo.fmt(f),
        }
    }
}

/// Whether a path is recognisable as one by how it begins, or as a file by its ending.
fn names_path(path: &Path) -> bool {
    if is_gguf(path) {
        return true;
    }
    match path.components().next() {
        Some(Component::CurDir | Component::ParentDir | Component::RootDir | Component::Prefix(_)) => true,
        Some(Component::Normal(first)) => first == "~",
        None => false,
    }
}

/// Whether a path is that of a GGUF file by its name.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// `~` and `~/p` below the home folder, any other path as it is; so too where no home folder is known.
pub(crate) fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), dirs::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// A model repository of the hub at a revision. Made by [`Repo::new`], which checks both names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Repo {
    /// `org/name`.
    pub id: String,
    /// A branch, a tag, a reference such as `refs/pr/1` or a commit's full hash.
    pub revision: String,
}

impl Repo {
    /// The revision where none is named.
    pub const DEFAULT_REVISION: &str = "main";

    /// A repository `id` (`org/name`) at `revision`.
    ///
    /// # Errors
    /// Where either holds a character or a sequence that the hub does not allow. Both become parts of paths and of
    /// URLs, which is why this is checked here and not left to the server.
    pub fn new(id: impl Into<String>, revision: impl Into<String>) -> Result<Self, SourceError> {
        let (id, revision) = (id.into(), revision.into());
        // The rules of `huggingface_hub`'s `validate_repo_id`, for each of the two parts.
        let part = |part: &str| {
            is_name(part) && !part.starts_with(['.', '-']) && !part.ends_with(['.', '-']) && !part.contains("--")
        };
        if !id.split_once('/').is_some_and(|(org, name)| part(org) && part(name)) || id.len() > 96 {
            return Err(SourceError::Id { id });
        }
        if !revision.split('/').all(is_name) {
            return Err(SourceError::Revision { revision });
        }
        Ok(Self { id, revision })
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.revision != Self::DEFAULT_REVISION {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// Whether `text` can be one component of a path and of a URL: letters, digits, `-`, `_` and `.`, but no `..`.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text != "." && !text.contains("..") && text.bytes().all(allowed)
}

/// A text that names no model source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Neither of the two forms.
    #[error("`{text}` names neither a folder, nor a GGUF file, nor a model of the hub")]
    Form {
        /// What was written.
        text: String,
    },
    /// `org/name` with something the hub does not allow.
    #[error("`{id}` cannot be the name of a hub model")]
    Id {
        /// What was written before `@`.
        id: String,
    },
    /// A file's name that leads out of its repository, or that the hub does not allow.
    #[error("`{file}` cannot be the name of a file of a repository")]
    File {
        /// What was written after `:`.
        file: String,
    },
    /// What begins with `oci://` and is no reference.
    #[error("`{text}` names no artifact of a registry: {reason}")]
    Oci {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A revision with something that git or the hub does not allow.
    #[error("`{revision}` cannot be a revision of a hub model")]
    Revision {
        /// What was written after `@`.
        revision: String,
    },
}

impl Explain for SourceError {
    fn exit(&self) -> Exit {
        Exit::Config
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => {
                return Some("write `org/name:FILE`, of letters, digits, `-`, `_`, `.` and `/`".to_owned());
            }
            Self::Oci { .. } => {
                return Some("write `oci://REGISTRY/NAME:TAG` or `oci://REGISTRY/NAME@sha256:DIGITS`".to_owned());
            }
            _ => {}
        }
        let hint = "a folder begins with `./`, `../`, `/` or `~/`, a file ends in `.gguf`; a model of the hub is `org/name` or \
                    `org/name@revision`, of letters, digits, `-`, `_` and `.`";
        Some(hint.to_owned())
    }
}
