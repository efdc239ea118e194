//! Model folders made by hand: each that cannot be used is refused with its reason, and the same model in another
//! form gives the same logits.

use std::fs;
use std::path::Path;

use futures::executor::block_on;
use runtime_diagnostics::{Explain, Problem, Style, render};
use runtime_engine::{Options, Registry, ZeroShot, ZeroShotOptions};
use runtime_graph::Head;
use runtime_models::{Model, ModelFolder, PLUGIN_FILE};
use runtime_pipeline::Template;
use runtime_tensor::{Batch, Device, Precision};
use runtime_tests::{Floats, Project, Tensors, copy_folder, golden_model, guest, root};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";
const TOKENIZER: &str = "model/tokenizer.json";
const WEIGHTS: &str = "model/model.safetensors";
const INDEX: &str = "model/model.safetensors.index.json";

const TEXTS: [&str; 3] =
    ["the doctor has a new phone", "not in the city", "an email from the bank, after five long days"];

/// The tiny model of `tests/goldens`, in a folder of its own.
fn tiny() -> Project {
    let project = Project::empty();
    copy_folder(&golden_model("bert-nli"), &project.path("model"));
    project
}

/// Changes a field of a JSON file.
fn set(project: &Project, file: &str, field: &str, value: Value) {
    let mut json: Value = project.read(file).parse().expect("JSON");
    json[field] = value;
    project.write(file, json.to_string());
}

/// Rewrites the weights.
fn rewrite(project: &Project, floats: Floats, name: impl Fn(String) -> String) {
    let tensors = Tensors::read(&project.path(WEIGHTS));
    let renamed = tensors.0.into_iter().map(|(old, tensor)| (name(old), tensor)).collect();
    Tensors(renamed).write(&project.path(WEIGHTS), floats);
}

fn load(folder: &Path) -> Result<Model, runtime_models::Error> {
    let folder = ModelFolder::new(folder);
    let config = folder.config()?;
    Model::load(
        &folder,
        &config,
        Model::built_in(&folder, &config)?,
        Head::SequenceClassification,
        None,
        Device::Cpu,
        Precision::F32,
    )
}

/// The logits of each of the texts.
fn logits(model: &Model) -> Vec<Vec<f32>> {
    let sequences = TEXTS.map(|text| {
        let pieces = model.tokenizer.pieces(text, model.max_tokens).expect("tokens");
        model.tokenizer.single(&pieces, model.max_tokens).expect("a sequence")
    });
    let mut batch = Batch::new();
    sequences.iter().for_each(|sequence| batch.push(&sequence.token_ids, &sequence.token_types));
    let outputs = model.plan.run(&batch).expect("it runs");
    let logits = outputs.get("logits").expect("it classifies");
    (0..logits.rows).map(|row| logits.row(row).to_vec()).collect()
}

/// The greatest difference between two sets of logits.
fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!((a.len(), a[0].len()), (b.len(), b[0].len()));
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The folder is refused by the registry, as the program loads it, with each of `says` in what the user reads.
#[track_caller]
fn refused(project: &Project, says: &[&str]) {
    let loaded = registry().load(&ModelFolder::new(project.path("model")), None, Head::SequenceClassification);
    let error = loaded.err().expect("it is refused");
    let text = render(&Problem::of(&error), Style { width: 1000, ..Style::default() });
    assert_ne!(error.exit() as u8, 70, "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

fn registry() -> Registry {
    Registry::new(Options { plugin_cache: Some(root().join("target/test-cache")), ..Options::default() })
}

/// Label and score of a text, by the whole way that a pipeline goes.
fn classified(folder: &Path, plugin: Option<&Path>) -> Result<Vec<(String, f32)>, runtime_engine::Error> {
    let model = registry().load(&ModelFolder::new(folder), plugin, Head::SequenceClassification)?;
    let labels = ["phone", "bank", "city"].map(str::to_owned).to_vec();
    let template: Template = "This is about {}.".parse().expect("a template");
    let classifier = ZeroShot::new(model, ZeroShotOptions { labels, template, multi_label: false, truncate: true })?;
    let found = block_on(classifier.classify(TEXTS[0]))?;
    Ok(found.labels.into_iter().zip(found.scores).collect())
}

#[test]
fn a_pickle_is_refused_and_the_reason_given() {
    let project = tiny();
    fs::rename(project.path(WEIGHTS), project.path("model/pytorch_model.bin")).expect("a rename");
    refused(&project, &["pytorch_model.bin", "pickle", "runs the code in it", "safe_serialization=True"]);
    let sharded = tiny();
    fs::rename(sharded.path(WEIGHTS), sharded.path("model/pytorch_model.bin.index.json")).expect("a rename");
    refused(&sharded, &["pytorch_model.bin.index.json", "pickle"]);
}

#[test]
fn a_pickle_beside_safetensors_does_no_harm() {
    let project = tiny();
    project.write("model/pytorch_model.bin", "never read");
    assert!(load(&project.path("model")).is_ok());
}

#[test]
fn absent_files_are_named() {
    for name in ["config.json", "tokenizer.json"] {
        let project = tiny();
        fs::remove_file(project.path(&format!("model/{name}"))).expect("it is there");
        refused(&project, &[name]);
    }
    let project = tiny();
    fs::remove_file(project.path(WEIGHTS)).expect("it is there");
    refused(&project, &["neither `model.safetensors` nor `model.safetensors.index.json`"]);
}

#[test]
fn damaged_weights_are_refused_wherever_they_are_cut() {
    let whole = fs::read(golden_model("bert-nli").join("model.safetensors")).expect("it is there");
    let project = tiny();
    for length in [0, 1, 7, 8, 9, 100, whole.len() / 2, whole.len() - 1] {
        project.write(WEIGHTS, &whole[..length]);
        refused(&project, &["model.safetensors"]);
    }
    project.write(WEIGHTS, [&whole[..], &[0]].concat());
    refused(&project, &["bytes, and its header tells of"]);
    // A header that claims to be longer than memory.
    project.write(WEIGHTS, [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat());
    refused(&project, &["bytes, and its header tells of"]);
    project.write(WEIGHTS, [&whole[..8], &b"x".repeat(whole.len() - 8)[..]].concat());
    refused(&project, &["is not that of a safetensors file"]);
}

#[test]
fn a_pointer_of_git_lfs_is_told_from_a_damaged_file() {
    let project = tiny();
    project.write(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 148000\n");
    refused(&project, &["is a pointer of Git LFS", "git lfs pull"]);
}

#[test]
fn weights_that_are_no_numbers_give_no_answer() {
    for damage in [f32::NAN, f32::INFINITY] {
        let project = tiny();
        let mut tensors = Tensors::read(&project.path(WEIGHTS));
        tensors.0.get_mut("classifier.bias").expect("it has one").1.fill(damage);
        tensors.write(&project.path(WEIGHTS), Floats::F32);
        let error = classified(&project.path("model"), None).expect_err("there is no score");
        assert!(error.to_string().contains("its weights must be damaged"), "{error}");
    }
}

#[test]
fn special_tokens_and_types_must_have_rows_too() {
    for (pointer, value, says) in [
        ("/post_processor/special_tokens/[CLS]/ids/0", json!(999_999), "has ids up to 999999"),
        ("/post_processor/pair/3/Sequence/type_id", json!(9), "gives token types up to 9"),
    ] {
        let project = tiny();
        let path = project.path("model/tokenizer.json");
        let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("it is JSON");
        *tokenizer.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there")) = value;
        fs::write(&path, tokenizer.to_string()).expect("it is written");
        refused(&project, &[says]);
    }
}

#[test]
fn a_label_cannot_be_of_a_class_that_there_is_not() {
    let project = tiny();
    set(&project, CONFIG, "label2id", json!({"ENTAILMENT": 99, "neutral": 0, "contradiction": 1}));
    refused(&project, &["scores 3 labels", "`label2id` has `ENTAILMENT` = 99"]);
}

#[test]
fn shards_are_put_together_and_an_absent_one_is_named() {
    let project = Project::empty();
    copy_folder(&golden_model("bert-nli-first"), &project.path("model"));
    assert!(load(&project.path("model")).is_ok());
    fs::remove_file(project.path("model/model-00002-of-00002.safetensors")).expect("it is there");
    refused(&project, &["model-00002-of-00002.safetensors"]);
}

#[test]
fn an_index_cannot_name_files_outside_the_folder() {
    let weights = fs::read(golden_model("bert-nli").join("model.safetensors")).expect("it is there");
    for shard in ["../x.safetensors", "/etc/x.safetensors", "a/../../x.safetensors", "..", ""] {
        let project = tiny();
        fs::remove_file(project.path(WEIGHTS)).expect("it is there");
        project.write("x.safetensors", &weights);
        project.write(INDEX, json!({"weight_map": {"classifier.bias": shard}}).to_string());
        refused(&project, &["model.safetensors.index.json", "which is outside of the folder"]);
    }
}

#[test]
fn an_index_that_is_none_is_refused() {
    for text in ["", "{}", "[]", "{\"weight_map\": 3}"] {
        let project = tiny();
        fs::remove_file(project.path(WEIGHTS)).expect("it is there");
        project.write(INDEX, text);
        refused(&project, &["cannot understand", "model.safetensors.index.json"]);
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let project = tiny();
    let mut tokenizer: Value = project.read(TOKENIZER).parse().expect("JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("a vocabulary");
    assert!(vocabulary.insert("unheard".to_owned(), json!(420)).is_none());
    project.write(TOKENIZER, tokenizer.to_string());
    refused(&project, &["ids up to 420", "`vocab_size` is 420", "are of different models"]);
}

#[test]
fn broken_json_is_refused_with_its_file() {
    for file in [CONFIG, TOKENIZER, "model/tokenizer_config.json"] {
        let project = tiny();
        project.write(file, "{\"a\": ");
        refused(&project, &[file]);
    }
}

#[test]
fn labels_must_be_as_many_as_the_classifier_scores() {
    let project = tiny();
    set(&project, CONFIG, "id2label", json!({"0": "no", "1": "entailment"}));
    refused(&project, &["scores 3 labels", "names 2"]);
    set(&project, CONFIG, "id2label", json!({"0": "no", "2": "entailment"}));
    refused(&project, &["id2label"]);
}

#[test]
fn sizes_that_do_not_fit_the_weights_are_refused() {
    let changes = [
        ("num_attention_heads", json!(5)),
        ("num_hidden_layers", json!(3)),
        ("num_hidden_layers", json!(4_000_000_000_u32)),
        ("vocab_size", json!(419)),
        ("num_attention_heads", json!(0)),
        ("layer_norm_eps", json!("small")),
        ("hidden_act", json!("sinus")),
        ("max_position_embeddings", json!(4096)),
        ("max_position_embeddings", json!(0)),
    ];
    let taken = changes.into_iter().filter(|(field, value)| {
        let project = tiny();
        set(&project, CONFIG, field, value.clone());
        load(&project.path("model")).is_ok()
    });
    assert_eq!(taken.collect::<Vec<_>>(), []);
}

#[test]
fn an_unknown_model_type_is_refused_with_what_there_is() {
    let project = tiny();
    set(&project, CONFIG, "model_type", json!("brand-new"));
    refused(&project, &["`brand-new`", "built in: albert, bart, bert", PLUGIN_FILE]);
    set(&project, CONFIG, "model_type", Value::Null);
    refused(&project, &["model_type"]);
}

#[test]
fn python_of_a_folder_is_never_run() {
    let project = tiny();
    set(&project, CONFIG, "model_type", json!("brand-new"));
    set(&project, CONFIG, "auto_map", json!({"AutoModel": "modeling_new.NewModel"}));
    project.write("model/modeling_new.py", "raise SystemExit");
    refused(&project, &["auto_map", "which is never run", PLUGIN_FILE, "plugins/PORTING.md"]);
    let asked = project.run(["task", "feature-extraction", "--model", "./model", "a phone"]).exits(78);
    let _said = asked.says(&["its own Python code (`auto_map` in config.json)", "plugins/PORTING.md"]);
    // What is built in needs none of it.
    set(&project, CONFIG, "model_type", json!("bert"));
    assert!(load(&project.path("model")).is_ok());
}

#[test]
fn a_plugin_in_the_folder_is_used_with_no_flag_and_answers_the_same() {
    let project = tiny();
    let folder = project.path("model");
    let built_in = classified(&folder, None).expect("it is built in");
    // That the folder's plugin is asked shows where it is none.
    project.write(&format!("model/{PLUGIN_FILE}"), "no component");
    refused(&project, &[PLUGIN_FILE]);
    fs::copy(guest("bert_plugin"), folder.join(PLUGIN_FILE)).expect("a copy");
    assert_eq!(classified(&folder, None).expect("by the folder's plugin"), built_in);
    // One that is named goes before the folder's own.
    project.write(&format!("model/{PLUGIN_FILE}"), "no component");
    assert_eq!(classified(&folder, Some(&guest("bert_plugin"))).expect("by the named plugin"), built_in);
}

#[test]
fn a_plugin_lets_a_folder_with_python_be_used() {
    let project = tiny();
    set(&project, CONFIG, "auto_map", json!({"AutoModel": "modeling_new.NewModel"}));
    fs::copy(guest("bert_plugin"), project.path("model").join(PLUGIN_FILE)).expect("a copy");
    assert!(classified(&project.path("model"), None).is_ok());
}

#[test]
fn a_plugin_for_other_models_is_refused() {
    let project = tiny();
    set(&project, CONFIG, "model_type", json!("brand-new"));
    fs::copy(guest("bert_plugin"), project.path("model").join(PLUGIN_FILE)).expect("a copy");
    refused(&project, &["is for bert", "`brand-new`"]);
}

#[test]
fn weights_in_half_precision_give_nearly_the_same() {
    let exact = logits(&load(&golden_model("bert-nli")).expect("it loads"));
    // A number keeps 11 or 8 bits; the tiny model adds up a few hundred of them.
    for (floats, lowest, highest) in [(Floats::F32, 0.0, 0.0), (Floats::F16, 1e-6, 2e-2), (Floats::Bf16, 1e-5, 2e-1)] {
        let project = tiny();
        rewrite(&project, floats, |name| name);
        let distance = distance(&logits(&load(&project.path("model")).expect("it loads")), &exact);
        assert!((lowest..=highest).contains(&distance), "{floats:?} is off by {distance}");
    }
}

#[test]
fn names_without_the_base_prefix_are_found() {
    let exact = logits(&load(&golden_model("bert-nli")).expect("it loads"));
    let project = tiny();
    rewrite(&project, Floats::F32, |name| name.strip_prefix("bert.").map_or(name.clone(), str::to_owned));
    assert!(Tensors::read(&project.path(WEIGHTS)).0.keys().all(|name| !name.starts_with("bert.")));
    assert_eq!(logits(&load(&project.path("model")).expect("it loads")), exact);
}

#[test]
fn an_absent_tensor_is_named() {
    for (name, other) in [
        ("layer.1.output.dense.weight", "layer.1.output.dense.weird"),
        ("embeddings.word_embeddings", "embeddings.words"),
    ] {
        let project = tiny();
        rewrite(&project, Floats::F32, |old| old.replace(name, other));
        refused(&project, &["the checkpoint has no tensor", name, "the nearest is"]);
    }
}

#[test]
fn a_tensor_of_the_wrong_shape_is_named_with_the_shape_there_is_and_the_one_there_should_be() {
    for (name, shape, says) in [
        ("bert.encoder.layer.1.output.dense.weight", vec![64, 32], ["[64, 32]", "`[64, 64]`"]),
        ("bert.encoder.layer.1.output.dense.bias", vec![8, 4], ["[8, 4]", "`[32]`"]),
        ("bert.encoder.layer.0.output.LayerNorm.gamma", vec![2, 16], ["[2, 16]", "`[32]`"]),
    ] {
        let project = tiny();
        let mut tensors = Tensors::read(&project.path(WEIGHTS));
        tensors.0.get_mut(name).expect("a tensor").0 = shape;
        tensors.write(&project.path(WEIGHTS), Floats::F32);
        refused(&project, &[&[name], &says[..]].concat());
    }
}

#[test]
fn a_tensor_of_another_type_is_told_as_such() {
    let project = tiny();
    let mut bytes = fs::read(project.path(WEIGHTS)).expect("a file");
    let find = |what: &[u8], from: usize| {
        from + bytes[from..].windows(what.len()).position(|window| window == what).expect("it is in the header")
    };
    let float = find(b"F32", find(b"\"bert.encoder.layer.1.output.dense.bias\"", 0));
    bytes[float] = b'I';
    fs::write(project.path(WEIGHTS), bytes).expect("a file");
    refused(&project, &["`bert.encoder.layer.1.output.dense.bias` is of type i32", "f32, f16 or bf16"]);
}

#[test]
fn a_bias_that_is_absent_is_not_taken_for_zero() {
    let project = tiny();
    rewrite(&project, Floats::F32, |name| name.replace("layer.1.output.dense.bias", "layer.1.output.dense.bais"));
    refused(&project, &["layer.1.output.dense.bias"]);
}

/// Matrix products of few rows may go another way than those of many; the rows are tokens, and for the classifier
/// sequences.
#[test]
fn a_result_does_not_depend_on_its_batch() {
    let folders = [golden_model("bert-nli"), root().join("pipelines/models/triage-nli")];
    let distances = folders.map(|folder| {
        let model = load(&folder).expect("it loads");
        let run = |lengths: &[u32]| {
            let mut batch = Batch::new();
            lengths.iter().for_each(|length| batch.push(&(100..100 + length).collect::<Vec<_>>(), &[]));
            model.plan.run(&batch).expect("it runs").get("logits").expect("it classifies").row(0).to_vec()
        };
        let lengths = [1, 3, 4, 5, 8, 9, 40];
        let pairs = lengths.into_iter().flat_map(|length| (1..20).map(move |others| (length, others)));
        let distances = pairs.map(|(length, others)| {
            let together: Vec<u32> = [length].into_iter().chain((1..20).take(others)).collect();
            distance(&[run(&[length])], &[run(&together)])
        });
        distances.fold(0.0, f32::max)
    });
    assert_eq!(distances, [0.0, 0.0]);
}

#[test]
fn a_model_is_loaded_once_and_again_when_a_file_is_another() {
    let project = tiny();
    let registry = registry();
    let load = || registry.load(&ModelFolder::new(project.path("model")), None, Head::SequenceClassification);
    let first = load().expect("it loads");
    let second = load().expect("it loads");
    assert!(std::ptr::eq(&raw const *first, &raw const *second) && registry.loads() == 1);
    rewrite(&project, Floats::F16, |name| name);
    let third = load().expect("it loads");
    assert!(!std::ptr::eq(&raw const *first, &raw const *third) && registry.loads() == 2);
}

#[test]
fn a_text_beyond_the_position_table_is_no_panic() {
    let project = tiny();
    set(&project, CONFIG, "max_position_embeddings", json!(4096));
    set(&project, "model/tokenizer_config.json", "model_max_length", json!(4096));
    let Ok(model) = load(&project.path("model")) else { return };
    let mut batch = Batch::new();
    batch.push(&[5; 500], &[0; 500]);
    assert!(model.plan.run(&batch).is_err());
}

#[test]
fn ids_beyond_the_tables_are_no_panic() {
    let model = load(&golden_model("bert-nli")).expect("it loads");
    for (id, kind) in [(420, 0), (u32::MAX, 0), (5, 2), (5, u32::MAX)] {
        let mut batch = Batch::new();
        batch.push(&[id], &[kind]);
        assert!(model.plan.run(&batch).is_err(), "id {id}, type {kind}");
    }
}

#[test]
fn a_vocabulary_that_the_configuration_overstates_is_refused() {
    let project = tiny();
    set(&project, CONFIG, "vocab_size", json!(1000));
    let mut tokenizer: Value = project.read(TOKENIZER).parse().expect("JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("a vocabulary");
    assert!(vocabulary.insert("unheard".to_owned(), json!(700)).is_none());
    project.write(TOKENIZER, tokenizer.to_string());
    refused(&project, &["700", "420"]);
}
