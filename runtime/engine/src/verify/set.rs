//! Which cases a folder holds, and which of them are asked for.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Explain, nearest};
use runtime_models::read_text;
use serde_json::Value;

use super::case::{Case, LARGEST_CASE, NO_MODEL};

/// Recorded cases, those of one model next to each other.
#[derive(Debug)]
pub struct CaseSet {
    pub(super) folder: PathBuf,
    pub(super) cases: Vec<Case>,
}

/// Why cases cannot be read or chosen.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder or the list of its cases cannot be read.
    #[error("cannot read the cases in `{}`", .path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list of the cases is no such list.
    #[error("`{}` is not a list of cases: {reason}", .path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Model(#[from] runtime_models::Error),
    /// There is no case.
    #[error("there are no cases in `{}`", .folder.display())]
    NoCases {
        /// The folder.
        folder: PathBuf,
    },
    /// A name is asked for that no case has.
    #[error("there is no case of the {what} `{name}`")]
    Unknown {
        /// Task or model.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

impl Explain for VerifyError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NoInput,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotADirectory => Exit::NoInput,
            Self::Read { .. } => Exit::Io,
            Self::Index { .. } => Exit::Data,
            Self::Model(error) => error.exit(),
            Self::NoCases { .. } => Exit::NoInput,
            Self::Unknown { .. } => Exit::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCases { .. } => Some(
                "a folder of cases holds `index.json`, or one JSON file for each case in `cases`; `tests/record.py` \
                 writes one"
                    .to_owned(),
            ),
            Self::Unknown { name, known, .. } => Some(match nearest(name, known.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("there are {}", known.join(", ")),
            }),
            Self::Model(error) => error.hint(),
            _ => None,
        }
    }
}

impl CaseSet {
    /// The cases of a folder.
    ///
    /// # Errors
    /// Where the folder or its `index.json` cannot be read, or there is no case.
    pub fn open(folder: &Path) -> Result<Self, VerifyError> {
        let read = |source| VerifyError::Read { path: folder.to_owned(), source };
        if !fs::metadata(folder).map_err(read)?.is_dir() {
            return Err(read(io::ErrorKind::NotADirectory.into()));
        }
        let index = folder.join("index.json");
        let mut cases = if index.is_file() { listed(folder, &index)? } else { found(folder)? };
        if cases.is_empty() {
            return Err(VerifyError::NoCases { folder: folder.to_owned() });
        }
        // Stable: the cases of a model stay in their order.
        cases.sort_by(|a, b| a.model.cmp(&b.model));
        Ok(Self { folder: folder.to_owned(), cases })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Keeps the cases of these tasks and models; of an empty list, all.
    ///
    /// # Errors
    /// Where no case has one of the names.
    pub fn keep(&mut self, tasks: &[String], models: &[String]) -> Result<(), VerifyError> {
        known("task", tasks, self.cases.iter().map(|case| case.task.as_str()))?;
        known("model", models, self.cases.iter().map(Case::model_name))?;
        let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        self.cases.retain(|case| among(tasks, &case.task) && among(models, case.model_name()));
        match self.is_empty() {
            true => Err(VerifyError::NoCases { folder: self.folder.clone() }),
            false => Ok(()),
        }
    }
}

/// Fails for the first name that there is not.
fn known<'a>(what: &'static str, asked: &[String], there: impl Iterator<Item = &'a str>) -> Result<(), VerifyError> {
    let there: BTreeSet<&str> = there.collect();
    asked.iter().find(|name| !there.contains(name.as_str())).map_or(Ok(()), |name| {
        let known = there.iter().map(|name| (*name).to_owned()).collect();
        Err(VerifyError::Unknown { what, name: name.clone(), known })
    })
}

/// Those that `index.json` lists.
fn listed(folder: &Path, index: &Path) -> Result<Vec<Case>, VerifyError> {
    let wrong = |reason: String| VerifyError::Index { path: index.to_owned(), reason };
    let text = read_text(index, LARGEST_CASE)?;
    let list: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let list = list.as_array().ok_or_else(|| wrong("it is no list".to_owned()))?;
    let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
    let case = |(number, entry): (usize, &Value)| {
        let field = |name: &str| text(entry, name).ok_or_else(|| wrong(format!("entry {number} has no text `{name}`")));
        Ok(Case {
            file: folder.join(field("file")?),
            id: field("id")?,
            task: field("task")?,
            model: text(entry, "model"),
        })
    };
    list.iter().enumerate().map(case).collect()
}

/// Every JSON file in `cases`, however deep.
fn found(folder: &Path) -> Result<Vec<Case>, VerifyError> {
    let mut cases = Vec::new();
    let mut folders = vec![folder.join("cases")];
    while let Some(next) = folders.pop() {
        if !next.is_dir() {
            continue;
        }
        let failed = |source| VerifyError::Read { path: next.clone(), source };
        let mut entries = Vec::new();
        for entry in fs::read_dir(&next).map_err(failed)? {
            entries.push(entry.map_err(failed)?.path());
        }
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                cases.push(Case::of_file(folder, path));
            }
        }
    }
    cases.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(cases)
}

impl Case {
    /// What a file says of itself; of one that says nothing, its place.
    fn of_file(folder: &Path, file: PathBuf) -> Self {
        let value = read_text(&file, LARGEST_CASE).ok().and_then(|text| serde_json::from_str(&text).ok());
        let value: Value = value.unwrap_or_default();
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        let place = || file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        Self {
            id: text("id").unwrap_or_else(place),
            task: text("task").unwrap_or_default(),
            model: text("model"),
            file,
        }
    }

    /// The last part of the model's place, by which it is chosen.
    pub(super) fn model_name(&self) -> &str {
        let name = self.model.as_deref().map(|model| Path::new(model).file_name().and_then(|name| name.to_str()));
        name.map_or(NO_MODEL, Option::unwrap_or_default)
    }
}
