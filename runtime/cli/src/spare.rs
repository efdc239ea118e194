//! Keeps outputs from overwriting what answers are made of.

#[cfg(unix)]
mod same_file;
#[cfg(not(unix))]
#[path = "spare/same_file_disabled.rs"]
mod same_file;

use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Problem};

use crate::failure::Failure;
use crate::input::Input;
use same_file::{is_stdin, same_file};

/// What an output must not replace, other than its input.
pub(crate) struct Spared<'a> {
    /// The file of the pipeline.
    pub(crate) pipeline: Option<&'a Path>,
    /// Files and folders of models.
    pub(crate) named: Vec<PathBuf>,
    /// Who names them.
    pub(crate) by: &'static str,
}

impl Spared<'_> {
    /// Refuses an output that would overwrite one of these, or the input.
    pub(crate) fn from(&self, output: &Path, input: Option<&Input>) -> Result<(), Failure> {
        let problem = |why: &str| Problem::new(Exit::Usage, format!("`{}` is {why}", output.display()));
        let refuse =
            |why: &str| Err(problem(&format!("{why}, and would be lost")).hint("write to another file").into());
        if let Some(folder) = self.named.iter().find(|named| lies_in(named, output)) {
            let why = format!("in the folder `{}`, which holds a model and no answers", folder.display());
            return Err(problem(&why).hint("write to another folder").into());
        }
        match input {
            Some(Input::File(input)) if same_file(input, output) => refuse("both input and output"),
            Some(Input::Stdin) if is_stdin(output) => refuse("both input and output"),
            _ if self.pipeline.is_some_and(|file| same_file(file, output)) => refuse("the pipeline itself"),
            _ if self.named.iter().any(|file| same_file(file, output)) => {
                refuse(&format!("a file that the {} names", self.by))
            }
            _ => Ok(()),
        }
    }
}

/// Whether `output`, which need not exist yet, is a file of `folder`, by any of its names.
fn lies_in(folder: &Path, output: &Path) -> bool {
    let parent = match output.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    // A cache of models keeps links in its folders, and the files elsewhere.
    let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
    same_file(folder, parent) || files.any(|file| same_file(&file.path(), output))
}
