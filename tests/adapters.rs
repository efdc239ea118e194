//! LoRA adapters of every kind, put on a model and merged into it, against what PEFT computes.
//!
//! `adapters/` holds an adapter in each folder, recorded by `adapters/record.py` on a model of `families/`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use half::bf16;
use runtime_graph::{Catalog, DType, Head};
use runtime_models::{Adapted, Adapter, Describe, Error, Merged, ModelFolder, merge};
use runtime_tensor::{Batch, Device, Matrix, Plan, PlanAdapter, Precision, Weights, compile};
use runtime_tests::{Floats, Project, Tensors, copy_folder, root};
use serde_json::{Value, json};

/// The recorded numbers have 7 digits, and both sides compute in single precision.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-4;

struct Recorded {
    name: String,
    adapter: ModelFolder,
    base: ModelFolder,
    head: Head,
    ids: Vec<u32>,
    /// After the merge: with an adapter for a table that is also the output, PEFT computes otherwise before.
    merged: Vec<Vec<f64>>,
}

fn folder(name: &str) -> PathBuf {
    root().join("tests/adapters").join(name)
}

fn recorded() -> Vec<Recorded> {
    let entries = fs::read_dir(root().join("tests/adapters")).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_dir());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(path.join("case.json")).expect("the case is there");
        let case: Value = serde_json::from_str(&text).expect("the case is JSON");
        let base = ModelFolder::new(root().join("tests/families").join(case["base"].as_str().expect("a folder")));
        let head = match base.config().expect("a configuration").head.expect("a class of transformers") {
            Head::Base => Head::SequenceClassification,
            head => head,
        };
        Recorded {
            name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            adapter: ModelFolder::new(path),
            base,
            head,
            ids: serde_json::from_value(case["input_ids"].clone()).expect("ids"),
            merged: serde_json::from_value(case["merged"].clone()).expect("rows of numbers"),
        }
    };
    paths.map(read).collect()
}

/// What a model computes with these weights.
fn run(case: &Recorded, weights: &(dyn Weights + Sync), catalog: impl Fn(&str) -> Catalog) -> Matrix {
    answer(case, &*plan(case, weights, catalog), None)
}

fn plan(case: &Recorded, weights: &(dyn Weights + Sync), catalog: impl Fn(&str) -> Catalog) -> Arc<dyn Plan> {
    let config = case.base.config().expect("a configuration");
    let family = runtime_architectures::find(&config.model_type).expect("it is built in");
    let catalog = catalog(Describe::base_prefix(family));
    let graph = Describe::graph(family, &case.base, &config, case.head, catalog).expect("it has a graph");
    compile(&graph, weights, Device::Cpu, Precision::F32).expect("it compiles")
}

fn answer(case: &Recorded, plan: &dyn Plan, adapter: Option<&PlanAdapter>) -> Matrix {
    let mut batch = Batch::new();
    batch.push(&case.ids, &[]);
    if let Some(adapter) = adapter {
        batch.adapt(adapter);
    }
    if case.head == Head::CausalLm {
        batch.ask_row(1);
        batch.ask_row(u32::try_from(case.ids.len()).expect("few tokens") - 2);
    }
    plan.run(&batch).expect("it runs").get(case.head.output()).expect("it has the output of its head").clone()
}

fn adapted(case: &Recorded) -> Matrix {
    let (base, adapter) = (case.base.checkpoint().expect("weights"), Adapter::open(&case.adapter).expect("an adapter"));
    let adapted = Adapted::new(&base, &adapter).expect("it fits");
    run(case, &adapted, |prefix| adapted.catalog(prefix))
}

/// Merges into a new folder of a project.
fn merged(case: &Recorded, stored: Option<DType>, project: &Project, name: &str) -> Result<Merged, Error> {
    let adapter = Adapter::open(&case.adapter).expect("an adapter");
    merge(&case.base, &adapter, stored, &project.path(name))
}

/// By how many tolerances a result is off at most.
fn off(case: &Recorded, found: &Matrix) -> f64 {
    assert_eq!((found.rows, found.width), (case.merged.len(), case.merged[0].len()), "{}", case.name);
    let numbers = case.merged.iter().flatten().zip(&found.data);
    let off =
        numbers.map(|(expected, found)| (expected - f64::from(*found)).abs() / (ABSOLUTE + RELATIVE * expected.abs()));
    off.fold(0.0, |most, off| if off > most || off.is_nan() { off } else { most })
}

#[test]
fn each_kind_computes_what_peft_computes() {
    let mut wrong = Vec::new();
    let all = recorded();
    assert!(all.len() >= 11, "{} adapters", all.len());
    for case in &all {
        let off = off(case, &adapted(case));
        if off > 1.0 || off.is_nan() {
            wrong.push(format!("{}: off by {off} tolerances", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_matrices_alone_computes_the_same_beside_the_weights() {
    let (mut beside, mut refused) = (Vec::new(), Vec::new());
    for case in recorded() {
        let (base, adapter) =
            (case.base.checkpoint().expect("weights"), Adapter::open(&case.adapter).expect("an adapter"));
        let adapted = Adapted::new(&base, &adapter).expect("it fits");
        let low_ranks = match adapted.low_ranks() {
            Ok(low_ranks) => low_ranks,
            Err(error) => {
                refused.push((case.name, error.to_string()));
                continue;
            }
        };
        let plan = plan(&case, &base, |prefix| base.catalog(prefix));
        match plan.adapter(&low_ranks) {
            Ok(adapter) => {
                let off = off(&case, &answer(&case, &*plan, Some(&adapter)));
                assert!(off <= 1.0, "{}: off by {off} tolerances", case.name);
                assert!(self::off(&case, &answer(&case, &*plan, None)) > 1.0, "{}: it changes nothing", case.name);
                beside.push(case.name);
            }
            Err(error) => refused.push((case.name, error.to_string())),
        }
    }
    beside.sort_unstable();
    assert_eq!(beside, ["conv1d", "dora", "lora-bias", "patterns", "rslora-biases"]);
    refused.sort_unstable();
    for ((name, error), (expected, reason)) in refused.iter().zip([
        ("classifier", "it brings `classifier.bias`, which the model does not have"),
        ("conv1d-dora", "it changes the table"),
        ("embeddings", "it replaces `lm_head.weight`"),
        ("embeddings-dora", "it changes the table"),
        ("saved", "it replaces"),
        ("tokens", "it changes the table"),
    ]) {
        assert!(name == expected && error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn a_merged_model_computes_the_same_without_the_adapter() {
    let project = Project::empty();
    for case in recorded() {
        let out = merged(&case, Some(DType::F32), &project, &case.name).expect("it is written");
        assert!(out.changed > 0 && out.changed <= out.tensors, "{}", case.name);
        let folder = ModelFolder::new(project.path(&case.name));
        let written = folder.checkpoint().expect("weights");
        let found = run(&case, &written, |prefix| written.catalog(prefix));
        let bits = |matrix: &Matrix| matrix.data.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&adapted(&case)), "{}", case.name);
        let config = folder.json("config.json").expect("JSON").expect("it is copied");
        assert_eq!(config["dtype"], "float32", "it says how weights are stored");
        assert!(folder.file("case.json").is_file(), "so are other files");
    }
}

#[test]
fn weights_are_stored_as_they_were_where_nothing_else_is_asked() {
    let project = Project::empty();
    let case = recorded().into_iter().find(|case| case.name == "patterns").expect("it is recorded");
    let _exact = merged(&case, Some(DType::F32), &project, "f32").expect("it is written");
    let _stored = merged(&case, None, &project, "bf16").expect("it is written");
    let exact = Tensors::read(&project.path("f32/model.safetensors")).0;
    let bytes = fs::read(project.path("bf16/model.safetensors")).expect("a file");
    let base = fs::read(case.base.file("model.safetensors")).expect("a file");
    let (header, data) = header(&bytes);
    let (base_header, base_data) = self::header(&base);
    assert_eq!(header.as_object().map(serde_json::Map::len), base_header.as_object().map(serde_json::Map::len));
    let (mut changed, mut same) = (0, 0);
    for (name, (shape, numbers)) in exact {
        assert_eq!((&header[&name]["dtype"], &header[&name]["shape"]), (&json!("BF16"), &json!(shape)), "{name}");
        let expected: Vec<u8> = numbers.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect();
        let found = part(&bytes[data..], &header[&name]);
        assert_eq!(found, expected, "{name}");
        let is_changed = found != part(&base[base_data..], &base_header[&name]);
        assert_eq!(is_changed, name.ends_with("_proj.weight"), "{name}");
        *(if is_changed { &mut changed } else { &mut same }) += 1;
    }
    assert!(changed == 14 && same > 4, "{changed} changed, {same} not");
}

fn header(bytes: &[u8]) -> (Value, usize) {
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))).expect("a length");
    (serde_json::from_slice(&bytes[8..8 + length]).expect("a header"), 8 + length)
}

fn part<'a>(data: &'a [u8], info: &Value) -> &'a [u8] {
    let [start, end]: [usize; 2] = serde_json::from_value(info["data_offsets"].clone()).expect("offsets");
    &data[start..end]
}

#[test]
fn a_checkpoint_in_several_files_stays_so() {
    let project = Project::empty();
    let mut case = recorded().into_iter().find(|case| case.name == "saved").expect("it is recorded");
    let _whole = merged(&case, Some(DType::F32), &project, "whole").expect("it is written");
    // The same base, in two files and with folders and checkpoints of other kinds beside them.
    copy_folder(case.base.path(), &project.path("base"));
    let _single = merged(&case, Some(DType::F32), &project, "single").expect("it is written");
    let base = Tensors::read(&case.base.file("model.safetensors"));
    let (mut map, mut halves) = (serde_json::Map::new(), [Tensors::default(), Tensors::default()]);
    for (place, (name, tensor)) in base.0.into_iter().enumerate() {
        map.insert(name.clone(), format!("part-{}.safetensors", place % 2).into());
        halves[place % 2].0.insert(name, tensor);
    }
    for (place, half) in halves.iter().enumerate() {
        half.write(&project.path(&format!("base/part-{place}.safetensors")), Floats::Bf16);
    }
    fs::remove_file(project.path("base/model.safetensors")).expect("it is there");
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    project.write("base/model.safetensors.index.json", index.to_string());
    project.write("base/pytorch_model.bin", "a pickle");
    project.write("base/onnx/model.onnx", "another form");
    project.write("base/1_Pooling/config.json", "{}");
    case.base = ModelFolder::new(project.path("base"));
    let out = merged(&case, Some(DType::F32), &project, "parts").expect("it is written");
    let index: Value = serde_json::from_str(&project.read("parts/model.safetensors.index.json")).expect("JSON");
    assert_eq!(index["metadata"]["total_size"], json!(out.bytes));
    assert_eq!(index["weight_map"], Value::Object(map));
    let mut found = Tensors::read(&project.path("parts/part-0.safetensors")).0;
    found.extend(Tensors::read(&project.path("parts/part-1.safetensors")).0);
    assert_eq!(found, Tensors::read(&project.path("whole/model.safetensors")).0);
    let copied = |name: &str| project.path(&format!("parts/{name}")).exists();
    assert!(copied("1_Pooling/config.json") && !copied("pytorch_model.bin") && !copied("onnx"));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let project = Project::empty();
    let model = |name: &str| root().join("tests/families").join(name).to_string_lossy().into_owned();
    let merge = |model: &str, adapter: &str, out: &str| {
        let adapter = adapter.to_owned();
        project.run(["model", "merge", "--model", model, "--adapter", &adapter, out])
    };
    let conv1d = folder("conv1d").to_string_lossy().into_owned();
    let patterns = folder("patterns").to_string_lossy().into_owned();
    let llama = model("llama-causallm");
    let _other = merge(&llama, &conv1d, "out").exits(78).says(&["which the model does not have"]);
    let _none = merge(&llama, &llama, "out").exits(78).says(&["has no `adapter_config.json`"]);
    let _shape = merge(&model("mistral-causallm"), &patterns, "out").exits(0);
    let _again = merge(&llama, &patterns, "out").exits(64).says(&["`out` is there already", "name a new folder"]);
    let _nowhere = merge("./nowhere", &patterns, "new").exits(66);
    copy_folder(&folder("patterns"), &project.path("adapter"));
    let config: Value = serde_json::from_str(&project.read("adapter/adapter_config.json")).expect("JSON");
    let mut cases = vec![("peft_type", json!("IA3"), "only LORA is known")];
    cases.push(("init_lora_weights", json!("pissa"), "path_initial_model_for_weight_conversion"));
    cases.push(("use_qalora", json!(true), "`use_qalora`"));
    for (key, value, part) in cases {
        let mut config = config.clone();
        config[key] = value;
        project.write("adapter/adapter_config.json", config.to_string());
        let _refused = merge(&llama, "adapter", "new").exits(78).says(&[part]);
    }
    fs::remove_file(project.path("adapter/adapter_model.safetensors")).expect("it is there");
    project.write("adapter/adapter_config.json", config.to_string());
    project.write("adapter/adapter_model.bin", "");
    let _pickle = merge(&llama, "adapter", "new").exits(78).says(&["is a pickle"]);
    let left: Vec<PathBuf> =
        fs::read_dir(project.path("")).expect("a folder").map(|it| it.expect("it").path()).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("new")), "{left:?}");
}

#[test]
fn the_command_says_what_it_has_written() {
    let project = Project::empty();
    let model = root().join("tests/families/gpt2-lmheadmodel").to_string_lossy().into_owned();
    let adapter = folder("conv1d").to_string_lossy().into_owned();
    let run = ["model", "merge", "--model", &model, "--adapter", &adapter, "--dtype", "f16", "a/new/folder"];
    let run = project.run(run).exits(0).says(&["tensors changed", "MB written"]);
    assert_eq!(run.stdout, "a/new/folder\n");
    let config: Value = serde_json::from_str(&project.read("a/new/folder/config.json")).expect("JSON");
    assert_eq!(config["dtype"], "float16");
}
