//! `modules.json`: what becomes of a text, step by step.

use std::path::{Component, Path, PathBuf};

use runtime_models::ModelFolder;
use serde_json::Value;

use super::dense::Dense;
use super::fields::JsonFile;
use super::{Mode, Pooling, SentenceError, normalize};
use crate::Error;

/// The modules of a model.
pub(crate) struct Modules {
    /// Where the transformer's files are.
    pub(crate) transformer: ModelFolder,
    pub(crate) pooling: Pooling,
    /// What is done to the vector, in order.
    pub(crate) after: Vec<Module>,
}

/// What is done to a vector.
pub(crate) enum Module {
    Normalize,
    Dense(Dense),
}

impl Module {
    pub(crate) fn apply(&self, vector: Vec<f32>) -> Result<Vec<f32>, SentenceError> {
        match self {
            Self::Normalize => {
                let mut vector = vector;
                normalize(&mut vector);
                Ok(vector)
            }
            Self::Dense(dense) => dense.apply(&vector),
        }
    }
}

const FILE: &str = "modules.json";

/// An entry of the file.
struct Entry {
    /// The class without its package.
    class: String,
    /// The class as it is written.
    written: String,
    folder: ModelFolder,
}

impl Modules {
    /// A transformer whose tokens are averaged.
    pub(crate) fn plain(folder: &ModelFolder) -> Self {
        Self { transformer: folder.clone(), pooling: Pooling::one(Mode::Mean), after: Vec::new() }
    }

    /// Those of a folder.
    ///
    /// # Errors
    /// Where a module is unknown, or its files are missing or wrong.
    pub(crate) fn read(folder: &ModelFolder) -> Result<Self, Error> {
        let Some(entries) = entries(folder)? else { return Ok(Self::plain(folder)) };
        let path = || folder.file(FILE);
        let transformer = transformer(&entries, path())?;
        let (mut pooling, mut after) = (None, Vec::new());
        for entry in &entries[1..] {
            match (entry.class.as_str(), &pooling) {
                ("Pooling", None) => pooling = Some(Pooling::read(&entry.folder)?),
                ("Pooling", Some(_)) => {
                    return Err(SentenceError::Order { path: path(), wrong: "have two poolings" }.into());
                }
                ("Normalize", Some(_)) => {
                    JsonFile::read(&entry.folder, "config.json")?.check_names()?;
                    after.push(Module::Normalize);
                }
                ("Dense", Some(_)) => after.push(Module::Dense(Dense::read(&entry.folder)?)),
                // It does something while a model is trained only.
                ("Dropout", _) => {}
                ("Normalize" | "Dense", None) => {
                    return Err(SentenceError::Order { path: path(), wrong: "do not pool the tokens first" }.into());
                }
                _ => return Err(SentenceError::Module { path: path(), module: entry.written.clone() }.into()),
            }
        }
        let pooling = pooling.ok_or_else(|| SentenceError::Order { path: path(), wrong: "do not pool the tokens" })?;
        Ok(Self { transformer, pooling, after })
    }

    /// Where the transformer's files are, and a module behind it, which a cross-encoder does not have.
    ///
    /// # Errors
    /// Where the file is wrong.
    pub(crate) fn first_two(folder: &ModelFolder) -> Result<(ModelFolder, Option<SentenceError>), Error> {
        let Some(entries) = entries(folder)? else { return Ok((folder.clone(), None)) };
        let second = entries.get(1).map(|entry| entry.written.clone());
        let second = second.map(|module| SentenceError::Module { path: folder.file(FILE), module });
        Ok((transformer(&entries, folder.file(FILE))?, second))
    }
}

fn transformer(entries: &[Entry], path: PathBuf) -> Result<ModelFolder, SentenceError> {
    match entries.first() {
        Some(first) if first.class == "Transformer" => Ok(first.folder.clone()),
        Some(first) => Err(SentenceError::Module { path, module: first.written.clone() }),
        None => Err(SentenceError::Order { path, wrong: "are none" }),
    }
}

/// The entries in their order; `None` without the file.
fn entries(folder: &ModelFolder) -> Result<Option<Vec<Entry>>, Error> {
    let path = folder.file(FILE);
    let Some(file) = folder.json(FILE)? else { return Ok(None) };
    let wrong = |field: &str, expected: &str, found: &Value| SentenceError::Field {
        path: path.clone(),
        field: field.to_owned(),
        found: crate::type_name(found).to_owned(),
        expected: expected.to_owned(),
    };
    let list = file.as_array().ok_or_else(|| wrong("the file", "a list of modules", &file))?;
    let entry = |entry: &Value| -> Result<Entry, SentenceError> {
        let written = entry["type"].as_str().ok_or_else(|| wrong("type", "the class of a module", &entry["type"]))?;
        let place = match &entry["path"] {
            Value::Null => "",
            Value::String(path) => path,
            other => return Err(wrong("path", "a text", other)),
        };
        let inside = |component| matches!(component, Component::Normal(_));
        if !Path::new(place).components().all(inside) {
            return Err(SentenceError::Outside { path: path.clone(), folder: place.to_owned() });
        }
        // Of another package, it would be code that came with the model.
        let class = match written.split_once('.') {
            Some(("sentence_transformers", rest)) => rest.rsplit('.').next().unwrap_or_default(),
            _ => "",
        };
        let folder = if place.is_empty() { folder.clone() } else { ModelFolder::new(folder.file(place)) };
        Ok(Entry { class: class.to_owned(), written: written.to_owned(), folder })
    };
    Ok(Some(list.iter().map(entry).collect::<Result<_, _>>()?))
}
