//! Sentence vectors, similarity and reranking beside the recorded cases: what shares the batch does not matter, and what
//! cannot be followed in a folder is told.

use std::fs;
use std::path::Path;

use futures::executor::block_on;
use runtime_engine::{Error, Fields, Options, Registry, Task, TaskAnswer};
use runtime_models::ModelFolder;
use runtime_tasks::{TaskKind, TaskOptions};
use runtime_tests::{Floats, Tensors, copy_folder, golden_model};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn load(kind: TaskKind, folder: &Path, params: Value, truncate: bool) -> Result<Task, Error> {
    let options = TaskOptions::read(kind, &object(params))?;
    Task::load(&Registry::new(Options::default()), &ModelFolder::new(folder), None, &options, truncate)
}

fn run(task: &Task, input: Value) -> Result<TaskAnswer, Error> {
    block_on(task.run(Fields::new(&object(input))))
}

/// The message and the hint of what a folder cannot do.
#[track_caller]
fn refusal(kind: TaskKind, folder: &Path, params: Value) -> String {
    use runtime_diagnostics::{Explain, chain};
    let error = load(kind, folder, params, true).err().expect("it is refused");
    format!("{} ({})", chain(&error), error.hint().unwrap_or_default())
}

/// A copy of `sentence-old`, to be changed.
struct Changed(TempDir);

impl Changed {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().expect("a folder"));
        let from = golden_model("sentence-old");
        for folder in ["0_Transformer", "1_Pooling", "2_Dense", "3_Dropout"] {
            copy_folder(&from.join(folder), &copy.0.path().join(folder));
        }
        fs::copy(from.join("modules.json"), copy.0.path().join("modules.json")).expect("a copy");
        copy
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let path = self.0.path().join(name);
        let mut value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
        change(&mut value);
        fs::write(path, value.to_string()).expect("a file");
        self
    }

    #[track_caller]
    fn refusal(&self) -> String {
        refusal(TaskKind::SentenceEmbedding, self.0.path(), json!({}))
    }
}

#[test]
fn a_vector_does_not_depend_on_what_shares_the_batch() {
    let texts: Vec<String> = (0..40).map(|at| format!("text {at} {}", "and the new phone ".repeat(at % 7))).collect();
    for name in ["sentence-new", "sentence-old", "bert-embed"] {
        let task = load(TaskKind::SentenceEmbedding, &golden_model(name), json!({}), true).expect("it loads");
        let together = run(&task, json!({"texts": texts})).expect("vectors").result;
        for (text, vector) in texts.iter().zip(together.as_array().expect("a list")) {
            // Floats are written in a form that tells each from any other.
            assert_eq!(&run(&task, json!({"text": text})).expect("a vector").result, vector, "{name}: {text}");
        }
    }
}

#[test]
fn documents_have_the_score_that_a_classifier_gives_their_pair() {
    let folder = golden_model("bert-reranker");
    let (query, documents) = ("Who fixed the phone?", ["The doctor.", "Nobody could fix it.", "The bank"]);
    let classifier = load(TaskKind::TextClassification, &folder, json!({}), true).expect("it loads");
    let reranker = load(TaskKind::Rerank, &folder, json!({}), true).expect("it loads");
    let ranked = run(&reranker, json!({"query": query, "documents": documents})).expect("a ranking").result;
    let ranked = ranked.as_array().expect("a list");
    assert_eq!(ranked.len(), 3);
    for document in ranked {
        let text = documents[usize::try_from(document["corpus_id"].as_u64().expect("an index")).expect("an index")];
        assert_eq!(document["text"], text);
        let alone = run(&classifier, json!({"text": query, "text_pair": text})).expect("a score").result;
        assert_eq!(document["score"], alone[0]["score"]);
    }
    let scores: Vec<f64> = ranked.iter().filter_map(|document| document["score"].as_f64()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn a_reranker_applies_what_its_folder_names() {
    let logits = |params: Value, field: &str, class: &str| {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(&golden_model("bert-reranker"), copy.path());
        let path = copy.path().join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
        match field {
            "activation_fn" => config["sentence_transformers"] = json!({"activation_fn": class}),
            field => config[field] = json!(class),
        }
        fs::write(path, config.to_string()).expect("a file");
        let task = load(TaskKind::Rerank, copy.path(), params, true)?;
        Ok::<Value, Error>(run(&task, json!({"query": "the phone", "documents": ["a", "b"]}))?.result)
    };
    let identity = "torch.nn.modules.linear.Identity";
    let none = logits(json!({"function_to_apply": "none"}), "other", "x").expect("scores");
    let sigmoid = logits(json!({}), "other", "x").expect("scores");
    assert_ne!(none, sigmoid);
    assert_eq!(logits(json!({}), "activation_fn", identity).expect("scores"), none);
    assert_eq!(logits(json!({}), "sbert_ce_default_activation_function", identity).expect("scores"), none);
    assert_eq!(logits(json!({}), "activation_fn", "torch.nn.modules.activation.Sigmoid").expect("scores"), sigmoid);
    let wrong = logits(json!({}), "activation_fn", "mine.Tanh").expect_err("it is unknown").to_string();
    assert!(wrong.contains("`sentence_transformers.activation_fn`") && wrong.contains("`mine.Tanh`"), "{wrong}");
}

#[test]
fn long_texts_are_cut_off_and_counted_or_refused() {
    let long = "the phone is in the city and the bank ".repeat(30);
    let folder = golden_model("sentence-old");
    let task = load(TaskKind::SentenceEmbedding, &folder, json!({}), true).expect("it loads");
    let answer = run(&task, json!({"texts": ["a phone", long, long]})).expect("vectors");
    assert_eq!(answer.truncated, 2);
    let task = load(TaskKind::SentenceEmbedding, &folder, json!({}), false).expect("it loads");
    let error = run(&task, json!({"text": long})).expect_err("it is too long").to_string();
    // `max_seq_length` of its `sentence_bert_config.json`.
    assert!(error.ends_with("and the model takes 16"), "{error}");
    let task = load(TaskKind::Rerank, &golden_model("bert-reranker"), json!({}), false).expect("it loads");
    let error = run(&task, json!({"query": "the phone", "documents": ["a", long]})).expect_err("it is too long");
    assert!(matches!(error, Error::TooLong { limit: 128, .. }), "{error}");
}

#[test]
fn a_length_that_is_asked_for_goes_no_further_than_the_model() {
    let long = "the phone is in the city and the bank ".repeat(30);
    for (asked, limit) in [(8, 8), (1000, 64)] {
        let params = json!({"max_seq_length": asked});
        let task = load(TaskKind::SentenceEmbedding, &golden_model("sentence-old"), params, true).expect("it loads");
        assert_eq!(run(&task, json!({"text": long})).expect("a vector").tokens, limit);
    }
}

#[test]
fn unknown_modules_and_settings_are_refused_by_name() {
    let file = "modules.json";
    let set = |module: usize, class: &str| {
        let changed = Changed::new();
        changed.change(file, |modules| modules[module]["type"] = json!(class));
        changed.refusal()
    };
    let told = set(3, "sentence_transformers.models.WordWeights");
    assert!(told.contains("asks for the module `sentence_transformers.models.WordWeights`"), "{told}");
    assert!(told.contains("supported are Transformer, Pooling, Dense"), "{told}");
    let told = set(0, "sentence_transformers.models.CLIPModel");
    assert!(told.contains("`sentence_transformers.models.CLIPModel`"), "{told}");
    // Code of the model's own.
    let told = set(1, "custom.Pooling");
    assert!(told.contains("`custom.Pooling`"), "{told}");
    let told = set(1, "sentence_transformers.models.Dropout");
    assert!(told.contains("do not pool the tokens first"), "{told}");

    let changed = Changed::new();
    let told = changed.change(file, |modules| modules[1]["path"] = json!("../1_Pooling")).refusal();
    assert!(told.contains("names the folder `../1_Pooling`, which is outside of the model's"), "{told}");
    let changed = Changed::new();
    let told = changed.change("1_Pooling/config.json", |config| config["pooling_mode"] = json!("median")).refusal();
    assert!(
        told.contains("`pooling_mode`") && told.contains("`\"median\"`") && told.contains("weightedmean"),
        "{told}"
    );
    let changed = Changed::new();
    let activation = json!("torch.nn.modules.activation.Hardshrink");
    let told = changed.change("2_Dense/config.json", |config| config["activation_function"] = activation).refusal();
    assert!(told.contains("Hardshrink") && told.contains("Tanh"), "{told}");
}

#[test]
fn the_weights_of_a_layer_must_fit() {
    let changed = Changed::new();
    let told = changed.change("2_Dense/config.json", |config| config["out_features"] = json!(9)).refusal();
    assert!(told.contains("2_Dense") && told.contains("`linear.weight`"), "{told}");
    assert!(told.contains("[9, 48]") && told.contains("[8, 48]"), "{told}");

    let changed = Changed::new();
    let path = changed.0.path().join("2_Dense/model.safetensors");
    let mut tensors = Tensors::read(&path);
    tensors.0.remove("linear.bias");
    tensors.write(&path, Floats::F32);
    let told = changed.refusal();
    assert!(told.contains("2_Dense") && told.contains("`linear.bias`"), "{told}");

    let changed = Changed::new();
    let told = changed.change("1_Pooling/config.json", |config| config["pooling_mode"] = json!("cls")).refusal();
    assert!(told.contains("takes 48 numbers, and is given 16"), "{told}");

    let changed = Changed::new();
    let folder = changed.0.path().join("2_Dense");
    fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).expect("a file");
    let told = changed.refusal();
    assert!(told.contains("is a pickle"), "{told}");
}

#[test]
fn parameters_that_the_folder_does_not_have_are_told() {
    let new = golden_model("sentence-new");
    let told = refusal(TaskKind::SentenceEmbedding, &new, json!({"prompt_name": "querry"}));
    assert_eq!(told, "the model has no prompt `querry` (did you mean `query`?)");
    let told = refusal(TaskKind::SentenceEmbedding, &new, json!({"truncate_dim": 25}));
    assert_eq!(told, "`truncate_dim` is 25, and the vectors have 24 numbers ()");
}

#[test]
fn a_model_without_the_head_says_what_it_can_do() {
    let told = refusal(TaskKind::TextClassification, &golden_model("bert-mlm"), json!({}));
    assert!(told.contains("cannot do text-classification: it can do fill-mask, feature-extraction"), "{told}");
    let told = refusal(TaskKind::FillMask, &golden_model("bert-emotion"), json!({}));
    assert!(told.contains("cannot do fill-mask: it can do text-classification, zero-shot-classification"), "{told}");
    let told = refusal(TaskKind::Rerank, &golden_model("bert-embed"), json!({}));
    assert!(told.contains("cannot do rerank: it can do feature-extraction, sentence-embedding, similarity"), "{told}");
    // With several labels there is a head, but no order.
    let told = refusal(TaskKind::Rerank, &golden_model("bert-emotion"), json!({}));
    assert!(told.contains("scores 5 labels"), "{told}");
}
