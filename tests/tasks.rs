//! Tasks of Hugging Face pipelines, case by case: token classification, question answering and fill-mask.
//!
//! The cases are those of `goldens`; `GOLDENS`, a folder of the same form, replaces them.

use std::fs;
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use runtime_engine::{Error, Fields, Options, Registry, Task};
use runtime_models::ModelFolder;
use runtime_tasks::{TaskKind, TaskOptions};
use runtime_tests::root;
use serde_json::{Map, Value};

fn goldens() -> PathBuf {
    std::env::var_os("GOLDENS").map_or_else(|| root().join("tests/goldens"), PathBuf::from)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    entries
}

/// All cases of a task.
fn cases(kind: TaskKind) -> Vec<Value> {
    let files = entries(&goldens().join("cases")).into_iter().flat_map(|folder| entries(&folder));
    let read = |file: PathBuf| -> Value {
        let text = fs::read_to_string(file).expect("the case is readable");
        serde_json::from_str(&text).expect("the case is JSON")
    };
    files.map(read).filter(|case| case["task"] == kind.name()).collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn load(registry: &Registry, case: &Value, kind: TaskKind) -> Result<Task, Error> {
    let folder = goldens().join(case["model"].as_str().expect("the case names its model"));
    let options = TaskOptions::read(kind, &object(&case["params"]))?;
    Task::load(registry, &ModelFolder::new(folder), None, &options, true)
}

fn answer(registry: &Registry, case: &Value, kind: TaskKind, input: &Map<String, Value>) -> Result<Value, Error> {
    let task = load(registry, case, kind)?;
    Ok(block_on(task.run(Fields::new(input)))?.result)
}

/// Where two results differ: a float by more than `|x - y| <= atol + rtol * |x|` allows, all else at all.
fn difference(place: &str, expected: &Value, found: &Value, case: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(index, (x, y))| difference(&format!("{place}[{index}]"), x, y, case))
        }
        (Value::Object(expected), Value::Object(found)) if expected.keys().eq(found.keys()) => {
            expected.iter().find_map(|(key, x)| difference(&format!("{place}.{key}"), x, &found[key], case))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() => {
            let (x, y) = (x.as_f64()?, y.as_f64()?);
            let tolerance = case["atol"].as_f64()? + case["rtol"].as_f64()? * x.abs();
            ((x - y).abs() > tolerance).then(|| format!("{place}: {y}, recorded {x}"))
        }
        (expected, found) => (expected != found).then(|| format!("{place}: {found}, recorded {expected}")),
    }
}

fn run(kind: TaskKind, at_least: usize) {
    let (cases, registry) = (cases(kind), Registry::new(Options::default()));
    assert!(cases.len() >= at_least, "{} cases of {kind}, and there were {at_least}", cases.len());
    let failure = |case: &Value| {
        let found = answer(&registry, case, kind, &object(&case["input"]));
        let what = match (&case["expected"]["error"], found) {
            (Value::Null, Ok(found)) => difference("result", &case["expected"]["result"], &found, case)?,
            (Value::Null, Err(error)) => error.to_string(),
            (_, Err(_)) => return None,
            (error, Ok(found)) => format!("{found}, and transformers refuses it: {error}"),
        };
        Some(format!("{}: {what}", case["id"]))
    };
    let failed: Vec<String> = cases.iter().filter_map(failure).collect();
    assert!(failed.is_empty(), "{} of {} cases fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn token_classification() {
    run(TaskKind::TokenClassification, 14);
}

#[test]
fn question_answering() {
    run(TaskKind::QuestionAnswering, 10);
}

#[test]
fn fill_mask() {
    run(TaskKind::FillMask, 7);
}
