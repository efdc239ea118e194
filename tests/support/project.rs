//! A folder of its own for each test, with a copy of the triage pipeline.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Finished, binary, copy_folder, root};

/// What decides where models are looked for, other than what [`Project::command`] sets.
const HUB_VARIABLES: [&str; 8] = [
    "HF_ENDPOINT",
    "HF_HUB_CACHE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HUGGINGFACE_HUB_CACHE",
    "HUGGING_FACE_HUB_TOKEN",
    "NO_COLOR",
    "TRANSFORMERS_OFFLINE",
];

/// The name of the pipeline's copy.
pub const PIPELINE: &str = "triage.toml";

/// A temporary folder that holds a pipeline, removed with the value.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// `triage.toml` and its tickets, over the model of the repository.
    pub fn triage() -> Self {
        let project = Self::empty();
        let pipelines = root().join("pipelines");
        project.write(PIPELINE, fs::read(pipelines.join(PIPELINE)).expect("the pipeline is there"));
        project.write("data/tickets.jsonl", fs::read(pipelines.join("data/tickets.jsonl")).expect("the tickets"));
        let model = pipelines.join("models/triage-nli");
        project.edit(PIPELINE, "\"./models/triage-nli\"", &format!("{:?}", model.to_string_lossy()));
        project
    }

    /// The same over a copy of the tiny model of `tests/goldens`, which may be changed, with a few short records.
    pub fn tiny() -> Self {
        let project = Self::triage();
        copy_folder(&root().join("tests/goldens/models/bert-nli"), &project.path("model"));
        let model = root().join("pipelines/models/triage-nli");
        project.edit(PIPELINE, &format!("{:?}", model.to_string_lossy()), "\"./model\"");
        let texts = ["the doctor has a new phone", "not in the city", "five days", "an email from the bank"];
        let records = texts.iter().enumerate().map(|(id, text)| format!("{{\"id\": {id}, \"text\": \"{text}\"}}\n"));
        project.write("data/tickets.jsonl", records.collect::<String>());
        project
    }

    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The path of `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in place, its folders included.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(path, contents).expect("a file");
    }

    /// Writes a file as careful editors do: beside it, then renamed onto it.
    pub fn replace(&self, name: &str, contents: impl AsRef<[u8]>) {
        let beside = format!("{name}.tmp~");
        self.write(&beside, contents);
        fs::rename(self.path(&beside), self.path(name)).expect("a rename");
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text file")
    }

    /// The text of a file with `from`, which must be in it once, changed to `to`.
    pub fn edited(&self, name: &str, from: &str, to: &str) -> String {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from} is in {name} once:\n{text}");
        text.replace(from, to)
    }

    /// Changes `from` to `to` in a file, in place.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        self.write(name, self.edited(name, from, to));
    }

    /// The program in this folder, with no network and nobody's models but its own.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in HUB_VARIABLES {
            command.env_remove(variable);
        }
        command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", self.path("hf")).env("XDG_CACHE_HOME", compiled());
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        Finished::of(self.command(arguments), &[])
    }

    /// Runs the program to its end on an input.
    pub fn run_on<S: AsRef<OsStr>>(&self, input: &[u8], arguments: impl IntoIterator<Item = S>) -> Finished {
        Finished::of(self.command(arguments), input)
    }

    /// What a run of the pipeline on its example answers, as JSON lines.
    pub fn answers(&self) -> String {
        self.run(["run", PIPELINE, "--format", "jsonl"]).exits(0).stdout
    }
}

/// Where compiled plugins are kept, for all tests together, so that each plugin is compiled once.
fn compiled() -> PathBuf {
    binary().parent().map(Path::to_owned).unwrap_or_default().join("test-cache")
}
