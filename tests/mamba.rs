//! Mamba as a plugin, `plugins/mamba`, against what transformers computes with a tiny model: an architecture that is not
//! built in and has no attention, on states that the host keeps.
//!
//! `mamba/model` and `mamba/recorded.json` are written by `mamba/record.py`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use futures::future::join_all;
use runtime_engine::{Generated, LanguageModel, LoadOptions, Options, Registry};
use runtime_graph::Head;
use runtime_models::ModelFolder;
use runtime_tensor::{BLOCK, Batch, Cached, Device, Matrix, Plan, Precision, compile};
use runtime_tests::{Project, copy_folder, guest, open_gpus, root};
use serde_json::{Value, json};

/// The recorded numbers have 7 digits, and both sides compute in single precision.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-4;

fn folder() -> ModelFolder {
    ModelFolder::new(root().join("tests/mamba/model"))
}

fn recorded(part: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(root()).join("tests/mamba/recorded.json")).expect("it is there");
    let all: Value = serde_json::from_str(&text).expect("it is JSON");
    all[part].as_array().expect("a list").clone()
}

fn registry() -> Registry {
    Registry::new(Options { plugin_cache: Some(root().join("target/test-cache")), ..Options::default() })
}

fn plan(head: Head, device: Device) -> Arc<dyn Plan> {
    let plugin = guest("mamba_plugin");
    let graph = registry().graph(&folder(), Some(plugin.as_path().into()), head).expect("the plugin describes it");
    compile(&graph, &folder().checkpoint().expect("weights"), device, Precision::F32).expect("it compiles")
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("ids")
}

/// A batch of some sequences, of which each token's row is asked for.
fn batch(sequences: &[&[u32]]) -> Batch {
    let mut batch = Batch::new();
    sequences.iter().for_each(|ids| batch.push(ids, &[]));
    (0..batch.tokens()).for_each(|row| batch.ask_row(u32::try_from(row).expect("few tokens")));
    batch
}

fn run(plan: &dyn Plan, output: &str, sequences: &[&[u32]]) -> Matrix {
    plan.run(&batch(sequences)).expect("it runs").into_result(output).expect("it has the output of its head")
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn check(device: &Device) {
    let cases = recorded("forward");
    assert!(cases.iter().any(|case| ids(&case["input_ids"]).len() > 2 * BLOCK), "some are longer than a block");
    for (head, output) in [(Head::Base, "hidden_states"), (Head::CausalLm, "logits")] {
        let plan = plan(head, device.clone());
        let sequences: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["input_ids"])).collect();
        let together = run(&*plan, output, &sequences.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut from = 0;
        for (case, ids) in cases.iter().zip(&sequences) {
            let alone = run(&*plan, output, &[ids]);
            let same = &together.data[from..from + alone.data.len()];
            from += alone.data.len();
            if matches!(device, Device::Cpu) {
                assert_eq!(bits(&alone.data), bits(same), "{} tokens, alone and in a batch", ids.len());
            }
            let rows = case["rows"].as_array().expect("rows").iter().zip(case[output].as_array().expect("numbers"));
            for (row, expected) in rows {
                let row = usize::try_from(row.as_u64().expect("a row")).expect("small");
                let expected: Vec<f64> = serde_json::from_value(expected.clone()).expect("numbers");
                assert_eq!(expected.len(), alone.width);
                for (expected, found) in expected.iter().zip(alone.row(row)) {
                    let off = (expected - f64::from(*found)).abs();
                    let most = ABSOLUTE + RELATIVE * expected.abs();
                    assert!(off <= most, "{output}, {} tokens, row {row}: {found}, not {expected}", ids.len());
                }
            }
        }
    }
}

#[test]
fn each_head_computes_what_transformers_computes() {
    check(&Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| check(&Device::Gpu(gpu.clone())));
}

#[test]
fn a_sequence_may_be_cut_at_every_place() {
    let plan = plan(Head::CausalLm, Device::Cpu);
    let text = ids(&recorded("forward").last().expect("the longest")["input_ids"]);
    let expected = bits(&run(&*plan, "logits", &[&text]).data);
    let mut cache = plan.cache(20).expect("what it needs can be kept");
    for cut in 1..text.len() {
        let (mut cached, mut found) = (Cached::new(), Vec::new());
        for part in [&text[..cut], &text[cut..]] {
            cache.reserve(&mut cached, part.len()).expect("there is room");
            let mut batch = Batch::new();
            batch.push_after(&cached, part);
            (0..part.len()).for_each(|row| batch.ask_row(u32::try_from(row).expect("few tokens")));
            let outputs = plan.run_after(&batch, &mut cache).expect("it runs");
            found.extend(bits(&outputs.get("logits").expect("logits").data));
            cached.advance(part.len());
        }
        assert_eq!(found, expected, "cut at {cut}");
    }
    assert_eq!(cache.held(), 0);
}

fn load() -> LanguageModel {
    let plugin = guest("mamba_plugin");
    LanguageModel::load(&registry(), &folder(), LoadOptions::from(Some(plugin.as_path()))).expect("it loads")
}

fn ask(model: &LanguageModel, prompt: &[u32], params: &Value, keep: bool) -> Generated {
    let config = model.config().with_params(params.as_object().expect("an object")).expect("parameters");
    block_on(model.generate(prompt.to_vec(), config, keep).expect("it is taken").finish()).expect("an answer")
}

fn tokens(generated: &Generated) -> Vec<Vec<u32>> {
    generated.sequences.iter().map(|sequence| sequence.tokens.clone()).collect()
}

fn with(params: &Value, more: &Value) -> Value {
    let mut params = params.as_object().expect("an object").clone();
    params.extend(more.as_object().expect("an object").clone());
    Value::Object(params)
}

#[test]
fn it_generates_what_transformers_generates() {
    let model = load();
    let cases = recorded("generated");
    assert!(cases.len() >= 12);
    for case in &cases {
        let (prompt, params) = (ids(&case["input_ids"]), with(&case["params"], &json!({"do_sample": false})));
        let found = ask(&model, &prompt, &params, false);
        assert_eq!(json!(tokens(&found)), case["tokens"], "{} tokens, {params}", prompt.len());
    }
}

#[test]
fn requests_at_once_and_conversations_that_go_on_are_answered_as_alone() {
    let model = load();
    let cases = recorded("generated");
    let prompts: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["input_ids"])).collect();
    let params = [
        json!({"do_sample": false, "max_new_tokens": 50}),
        json!({"do_sample": true, "seed": 3, "max_new_tokens": 40, "num_return_sequences": 3}),
        json!({"do_sample": false, "max_new_tokens": 40, "num_beams": 3}),
        // Guesses could not be taken back, so that none are made.
        json!({"do_sample": false, "max_new_tokens": 50, "prompt_lookup_num_tokens": 4}),
    ];
    let alone: Vec<Vec<Vec<u32>>> =
        (0..prompts.len()).map(|index| tokens(&ask(&model, &prompts[index], &params[index % 4], false))).collect();
    let guessing = ask(&model, &prompts[0], &params[3], false);
    assert_eq!((tokens(&guessing), guessing.guessed_tokens), (tokens(&ask(&model, &prompts[0], &params[0], false)), 0));
    let streams = (0..60).map(|number| {
        let index = number % prompts.len();
        let config = model.config().with_params(params[index % 4].as_object().expect("an object"));
        (index, model.generate(prompts[index].clone(), config.expect("parameters"), false).expect("it is taken"))
    });
    let answers = streams.map(async |(index, stream)| (index, stream.finish().await.expect("an answer")));
    for (index, generated) in block_on(join_all(answers.collect::<Vec<_>>())) {
        assert_eq!(tokens(&generated), alone[index], "request {index}");
    }

    let mut conversation = prompts.last().expect("a long one").clone();
    for (turn, next) in prompts.iter().enumerate().step_by(3) {
        let fresh = ask(&model, &conversation, &params[0], true);
        assert_eq!(fresh.cached_tokens > 0, turn > 0, "whole blocks are gone on from");
        model.loaded().generator().expect("it generates").forget().expect("the worker is there");
        assert_eq!(tokens(&ask(&model, &conversation, &params[0], false)), tokens(&fresh), "turn {turn}");
        let again = ask(&model, &conversation, &params[0], true);
        assert_eq!((again.cached_tokens, tokens(&again)), (0, tokens(&fresh)));
        conversation.extend(&fresh.sequences[0].tokens);
        conversation.extend(next);
    }
}

#[test]
fn the_program_runs_it_from_a_file_and_from_its_folder() {
    let project = Project::empty();
    let plugin = guest("mamba_plugin");
    let (plain, carrying) = (project.path("plain"), project.path("carrying"));
    for to in [&plain, &carrying] {
        copy_folder(folder().path(), to);
    }
    fs::copy(&plugin, carrying.join("architecture.wasm")).expect("copied");
    let arguments = ["In the beginning", "--max-new-tokens", "20", "--param", "do_sample=false"];
    let generate = |model: &Path, more: &[&str]| {
        let model = model.to_string_lossy();
        project.run([&["generate", "--model", &model][..], &arguments, more].concat())
    };
    let named = generate(&plain, &["--plugin", &plugin.to_string_lossy()]).exits(0);
    assert!(named.stdout.trim_end().len() > 20, "{}", named.stdout);
    assert_eq!(generate(&carrying, &[]).exits(0).stdout, named.stdout);
    let unknown = generate(&plain, &[]);
    assert_ne!(unknown.code, Some(0));
    assert!(unknown.stderr.contains("mamba"), "{}", unknown.stderr);
}
