//! The files of a model: one, or several that are numbered `-00001-of-00003.gguf` (llama.cpp's `gguf-split`).

use std::fs;
use std::path::{Path, PathBuf};

use runtime_gguf::{Header, Metadata, TensorInfo};

use super::{Fields, GgufError};
use crate::Error;
use crate::data_file::DataFile;

/// A file with the places of its tensors.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: DataFile,
    pub(super) tensors: Vec<TensorInfo>,
}

/// Parts of a model, at most, so that a name cannot make many files be looked for.
const MOST_PARTS: u64 = 999;

/// The number of a part and of all parts, as a file's name tells them.
struct Numbered<'a> {
    name: &'a str,
    part: u64,
    parts: u64,
}

impl<'a> Numbered<'a> {
    fn read(path: &'a Path) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, parts) = stem.rsplit_once("-of-")?;
        let (name, part) = rest.rsplit_once('-')?;
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.len() == 5);
        let (part, parts) = (number(part)?, number(parts)?);
        (1..=MOST_PARTS)
            .contains(&parts)
            .then_some(Self { name, part, parts })
            .filter(|it| (1..=parts).contains(&it.part))
    }

    fn files(&self, path: &Path) -> Vec<PathBuf> {
        let file = |part| path.with_file_name(format!("{}-{part:05}-of-{:05}.gguf", self.name, self.parts));
        (1..=self.parts).map(file).collect()
    }
}

/// Whether a name is one of a GGUF file.
fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// All files of the model that a file is or is a part of.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    Numbered::read(path).map_or_else(|| vec![path.to_owned()], |numbered| numbered.files(path))
}

/// The file of the only model of this kind in a folder, the first where it has several parts; `path` itself where it
/// is a file.
pub(crate) fn only_in(path: &Path) -> Result<Option<PathBuf>, Error> {
    if is_gguf(path) && path.is_file() {
        return Ok(Some(path.to_owned()));
    }
    // What cannot be listed is told by whoever looks for a file there.
    let Ok(entries) = fs::read_dir(path) else { return Ok(None) };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_gguf(path) && Numbered::read(path).is_none_or(|numbered| numbered.part == 1))
        .collect();
    found.sort();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Error::SeveralGgufs { folder: path.to_owned(), files: found }),
    }
}

/// The first part's file, the keys, which stand in the first part, and the tensors of each.
pub(super) fn open(path: &Path) -> Result<(PathBuf, Metadata, Vec<Part>), Error> {
    let (part, metadata) = read(path)?;
    let parts = split(path, &metadata, "split.count")?.unwrap_or(1);
    if parts <= 1 {
        return Ok((path.to_owned(), metadata, vec![part]));
    }
    let numbered = Numbered::read(path).filter(|numbered| numbered.parts == parts);
    let numbered =
        numbered.ok_or_else(|| Error::Gguf { path: path.to_owned(), source: GgufError::PartName { parts } })?;
    let files = numbered.files(path);
    let mut first = None;
    let mut opened = Vec::new();
    for (number, path) in (1u64..).zip(&files) {
        let (part, metadata) = read(path)?;
        let says = |key| split(path, &metadata, key);
        let (said, of) = (says("split.no")?, says("split.count")?);
        if said != Some(number - 1) || of != Some(parts) {
            let found = match (said, of) {
                (Some(said), Some(of)) => format!("says that it is part {} of {of}", said.saturating_add(1)),
                _ => "does not say that it is a part".to_owned(),
            };
            let source = GgufError::Split { part: number, parts, found };
            return Err(Error::Gguf { path: path.clone(), source });
        }
        opened.push(part);
        first.get_or_insert(metadata);
    }
    Ok((files.into_iter().next().unwrap_or_default(), first.unwrap_or_default(), opened))
}

fn read(path: &Path) -> Result<(Part, Metadata), Error> {
    let (file, length) = DataFile::open(path)?;
    let header = Header::read(&file, length);
    let header = header.map_err(|error| Error::Gguf { path: path.to_owned(), source: error.into() })?;
    Ok((Part { file: DataFile::new(path, file), tensors: header.tensors }, header.metadata))
}

fn split(path: &Path, metadata: &Metadata, key: &str) -> Result<Option<u64>, Error> {
    let fields = Fields::new(metadata, "");
    fields.size_at(key).map_err(|source| Error::Gguf { path: path.to_owned(), source })
}
