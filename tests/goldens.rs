//! What Hugging Face computes, case by case, in the schema that `goldens/README.md` describes: `runtime verify` passes
//! over `goldens/cases`, and every file there is one of its cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use runtime_engine::{CaseSet, Error, Fields, Options, Registry, SentenceError, Task};
use runtime_models::ModelFolder;
use runtime_tasks::{TaskKind, TaskOptions};
use runtime_tests::root;
use serde_json::{Map, Value};

/// Cases of each task, at least, so that none is lost unnoticed.
const AT_LEAST: [(&str, usize); 13] = [
    ("tokenize", 62),
    ("detokenize", 24),
    ("hidden-states", 8),
    ("text-classification", 22),
    ("zero-shot-classification", 33),
    ("token-classification", 23),
    ("question-answering", 19),
    ("fill-mask", 14),
    ("sentence-embedding", 7),
    ("similarity", 3),
    ("rerank", 2),
    ("generate", 3),
    ("text-generation", 4),
];

/// The files in `tests/goldens/cases`.
fn files() -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("the folder is there");
        entries.map(|entry| entry.expect("readable").path()).collect::<Vec<PathBuf>>()
    };
    entries(&root().join("tests/goldens/cases")).iter().flat_map(|folder| entries(folder)).collect()
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).expect("the case is readable")).expect("the case is JSON")
}

#[test]
fn every_case_is_as_recorded() {
    let cases = CaseSet::open(&root().join("tests/goldens")).expect("the cases can be read");
    let (mut told, mut failed) = (0, Vec::new());
    cases.run(&Registry::new(Options::default()), |outcome| {
        told += 1;
        failed.extend(outcome.failure.map(|failure| format!("{}: {failure}", outcome.id)));
    });
    assert!(failed.is_empty(), "{} of {told} cases fail:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(told, files().len(), "every file is a case");
}

#[test]
fn no_case_is_lost() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in files() {
        *counts.entry(read(&file)["task"].as_str().expect("a case names its task").to_owned()).or_default() += 1;
    }
    for (task, least) in AT_LEAST {
        let found = counts.get(task).copied().unwrap_or_default();
        assert!(found >= least, "{found} cases of {task}, and there were {least}");
    }
}

/// `verify` is content with any failure where one was recorded; here, it must be for the reason that transformers gives.
#[test]
fn what_transformers_refuses_is_refused_for_the_same_reason() {
    let registry = Registry::new(Options::default());
    let mut refused = 0;
    for case in files().iter().map(|file| read(file)) {
        let kind = TaskKind::named(case["task"].as_str().expect("a case names its task"));
        let (Some(kind), Some(recorded)) = (kind, case["expected"]["error"].as_str()) else { continue };
        refused += 1;
        let found = run(&registry, kind, &case).expect_err("transformers refuses it");
        let parameter = |name: &str| matches!(&found, Error::Param(error) if error.key == name);
        // What their messages say, and what is said here.
        let reasons = [
            ("The provided hypothesis_template", matches!(found, Error::Template(_))),
            ("You must include at least one label", matches!(found, Error::NoLabels)),
            // It does not shorten the text then, and fails in the model.
            ("The size of tensor", matches!(found, Error::HypothesisTooLong { .. })),
            ("Prompt name", matches!(found, Error::Sentence(SentenceError::Prompt { .. }))),
            ("`stride` must be less than", parameter("stride")),
            ("`stride` was provided to process", parameter("stride")),
            ("`stride` must be strictly less than", matches!(found, Error::QuestionTooLong { .. })),
            ("No mask_token", matches!(found, Error::NoMask { .. })),
            ("At least one target must be provided", parameter("targets")),
            ("selected index k out of range", parameter("top_k")),
        ];
        let same = reasons.iter().any(|(reason, same)| recorded.contains(reason) && *same);
        assert!(same, "{}: {found:?}, recorded {recorded}", case["id"]);
    }
    assert!(refused >= 15, "{refused} refusals, and there were 15");
}

fn run(registry: &Registry, kind: TaskKind, case: &Value) -> Result<Value, Error> {
    let fields = |name: &str| -> Map<String, Value> { case[name].as_object().expect("an object").clone() };
    let options = TaskOptions::read(kind, &fields("params"))?;
    let folder = root().join("tests/goldens").join(case["model"].as_str().expect("a model"));
    let task = Task::load(registry, &ModelFolder::new(folder), None, &options, true)?;
    block_on(task.run(Fields::new(&fields("input")))).map(|answer| answer.result)
}
