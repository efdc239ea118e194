//! Plugins beside what transformers computes with a tiny model: a folder of `tests` has the model, what was recorded, and the
//! script that recorded it.

use std::fs;
use std::sync::Arc;

use futures::executor::block_on;
use futures::future::join_all;
use runtime_engine::{Generated, LanguageModel, LoadOptions, Options, Registry};
use runtime_graph::{Dim, Head};
use runtime_models::ModelFolder;
use runtime_tensor::{BLOCK, Batch, Cached, Device, Matrix, Plan, Precision, compile};
use serde_json::{Value, json};

use crate::{Project, copy_folder, guest, root};

/// The recorded numbers have 7 digits, and both sides compute in single precision.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-4;

/// A plugin, and the folder of `tests` with `model/` and `recorded.json`.
#[derive(Clone, Copy)]
pub struct Recorded {
    /// As [`guest`] finds it.
    pub plugin: &'static str,
    /// Its name.
    pub folder: &'static str,
}

impl Recorded {
    /// The tiny model.
    pub fn model(&self) -> ModelFolder {
        ModelFolder::new(root().join("tests").join(self.folder).join("model"))
    }

    /// What was recorded of a part.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn cases(&self, part: &str) -> Vec<Value> {
        let path = root().join("tests").join(self.folder).join("recorded.json");
        let all: Value = serde_json::from_str(&fs::read_to_string(path).expect("it is there")).expect("it is JSON");
        all[part].as_array().expect("a list").clone()
    }

    /// The model as the plugin describes it.
    ///
    /// # Panics
    /// Where the plugin refuses it, or it cannot be compiled.
    pub fn plan(&self, head: Head, device: Device) -> Arc<dyn Plan> {
        let (plugin, folder) = (guest(self.plugin), self.model());
        let graph = registry().graph(&folder, Some(plugin.as_path().into()), head).expect("the plugin describes it");
        compile(&graph, &folder.checkpoint().expect("weights"), device, Precision::F32).expect("it compiles")
    }

    /// Compares the rows that were recorded as `forward`, of each head under a name, and on the processor the bits of each
    /// text alone with those in a batch of all.
    ///
    /// # Panics
    /// Where something is off.
    pub fn check_heads(&self, heads: &[(Head, &str)], device: &Device) {
        let cases = self.cases("forward");
        assert!(cases.iter().any(|case| ids(&case["input_ids"]).len() > 2 * BLOCK), "some are longer than a block");
        for (head, recorded) in heads {
            let plan = self.plan(*head, device.clone());
            let texts: Vec<Text> = cases.iter().map(Text::new).collect();
            let together = run(&*plan, *head, &texts);
            let mut from = 0;
            for (case, text) in cases.iter().zip(&texts) {
                let what = format!("{}, {} tokens", head.name(), text.ids.len());
                let alone = run(&*plan, *head, std::slice::from_ref(text));
                let same = &together.data[from..from + alone.data.len()];
                from += alone.data.len();
                if matches!(device, Device::Cpu) {
                    assert_eq!(bits(&alone.data), bits(same), "{what}, alone and in a batch");
                }
                let rows = if head.rows() == Dim::Sequences { vec![0] } else { ids(&case["rows"]) };
                let expected: Vec<Vec<f64>> = serde_json::from_value(case[*recorded].clone()).expect("rows of numbers");
                assert_eq!(rows.len(), expected.len(), "{what}");
                for (row, expected) in rows.into_iter().zip(expected) {
                    assert_eq!(expected.len(), alone.width, "{what}");
                    for (expected, found) in expected.iter().zip(alone.row(row as usize)) {
                        let off = (expected - f64::from(*found)).abs();
                        let most = ABSOLUTE + RELATIVE * expected.abs();
                        assert!(off <= most, "{what}, row {row}: {found}, not {expected}");
                    }
                }
            }
            assert_eq!(from, together.data.len());
        }
    }

    /// Cuts the longest text at every place: what is computed in two runs has the bits of one run.
    ///
    /// # Panics
    /// Where it has not.
    pub fn check_cuts(&self) {
        let plan = self.plan(Head::CausalLm, Device::Cpu);
        let text = Text::new(self.cases("forward").last().expect("the longest"));
        let expected = bits(&run(&*plan, Head::CausalLm, std::slice::from_ref(&text)).data);
        let mut cache = plan.cache(20).expect("what it needs can be kept");
        for cut in 1..text.ids.len() {
            let (mut cached, mut found) = (Cached::new(), Vec::new());
            for part in [&text.ids[..cut], &text.ids[cut..]] {
                cache.reserve(&mut cached, part.len()).expect("there is room");
                let mut batch = Batch::new();
                batch.push_after(&cached, part);
                ask_all(&mut batch);
                let outputs = plan.run_after(&batch, &mut cache).expect("it runs");
                found.extend(bits(&outputs.get("logits").expect("logits").data));
                cached.advance(part.len());
            }
            assert_eq!(found, expected, "cut at {cut}");
        }
        assert_eq!(cache.held(), 0);
    }

    /// The model, to generate with.
    ///
    /// # Panics
    /// Where it cannot be loaded.
    pub fn language_model(&self) -> LanguageModel {
        let plugin = guest(self.plugin);
        LanguageModel::load(&registry(), &self.model(), LoadOptions::from(Some(plugin.as_path()))).expect("it loads")
    }

    /// Compares the tokens that were recorded as `generated`: greedy search and beams.
    ///
    /// # Panics
    /// Where they differ.
    pub fn check_generated(&self) {
        let model = self.language_model();
        let cases = self.cases("generated");
        assert!(cases.len() >= 12);
        for case in &cases {
            let prompt = ids(&case["input_ids"]);
            let mut params = case["params"].clone();
            params["do_sample"] = json!(false);
            let found = ask(&model, &prompt, &params, false);
            assert_eq!(json!(tokens(&found)), case["tokens"], "{} tokens, {params}", prompt.len());
        }
    }

    /// Asks for much at once and for conversations that go on: each answer is that of the request alone.
    ///
    /// # Panics
    /// Where it is not.
    pub fn check_requests_at_once(&self) {
        let model = self.language_model();
        let prompts: Vec<Vec<u32>> = self.cases("generated").iter().map(|case| ids(&case["input_ids"])).collect();
        let params = [
            json!({"do_sample": false, "max_new_tokens": 50}),
            json!({"do_sample": true, "seed": 3, "max_new_tokens": 40, "num_return_sequences": 3}),
            json!({"do_sample": false, "max_new_tokens": 40, "num_beams": 3}),
            json!({"do_sample": false, "max_new_tokens": 50, "prompt_lookup_num_tokens": 4}),
        ];
        let alone: Vec<Vec<Vec<u32>>> =
            (0..prompts.len()).map(|index| tokens(&ask(&model, &prompts[index], &params[index % 4], false))).collect();
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

    /// Runs the program on the model as one of this class, with the plugin named, carried by the model's folder, and without
    /// it; returns what it answers and what it says without.
    ///
    /// # Panics
    /// Where the first two differ, or the last succeeds.
    pub fn check_program(&self, class: &str, command: &str, arguments: &[&str]) -> (String, String) {
        let project = Project::empty();
        let plugin = guest(self.plugin);
        let (plain, carrying) = (project.path("plain"), project.path("carrying"));
        for to in [&plain, &carrying] {
            copy_folder(self.model().path(), to);
            let config = to.join("config.json");
            let mut fields: Value = serde_json::from_slice(&fs::read(&config).expect("it is there")).expect("JSON");
            fields["architectures"] = json!([class]);
            fs::write(&config, fields.to_string()).expect("written");
        }
        fs::copy(&plugin, carrying.join("architecture.wasm")).expect("copied");
        let run = |model: &std::path::Path, more: &[&str]| {
            let model = model.to_string_lossy();
            let words: Vec<&str> = command.split(' ').collect();
            project.run([&words[..], &["--model", &model], arguments, more].concat())
        };
        let named = run(&plain, &["--plugin", &plugin.to_string_lossy()]).exits(0).stdout;
        assert_eq!(run(&carrying, &[]).exits(0).stdout, named);
        let without = run(&plain, &[]);
        assert_ne!(without.code, Some(0));
        (named, without.stderr)
    }
}

/// Its tokens, and where they are said the parts of a pair that these are of.
struct Text {
    ids: Vec<u32>,
    types: Vec<u32>,
}

impl Text {
    fn new(case: &Value) -> Self {
        let types = case.get("token_type_ids").map(ids).unwrap_or_default();
        Self { ids: ids(&case["input_ids"]), types }
    }
}

fn registry() -> Registry {
    Registry::new(Options { plugin_cache: Some(root().join("target/test-cache")), ..Options::default() })
}

/// A list of small whole numbers.
///
/// # Panics
/// Where it is none.
pub fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("ids")
}

/// Asks for each token's row.
fn ask_all(batch: &mut Batch) {
    (0..batch.tokens()).for_each(|row| batch.ask_row(u32::try_from(row).expect("few tokens")));
}

fn run(plan: &dyn Plan, head: Head, texts: &[Text]) -> Matrix {
    let mut batch = Batch::new();
    texts.iter().for_each(|text| batch.push(&text.ids, &text.types));
    ask_all(&mut batch);
    plan.run(&batch).expect("it runs").into_result(head.output()).expect("it has the output of its head")
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// What a model generates from a prompt; `keep` says whether it is kept to go on from.
///
/// # Panics
/// Where it does not answer.
pub fn ask(model: &LanguageModel, prompt: &[u32], params: &Value, keep: bool) -> Generated {
    let config = model.config().with_params(params.as_object().expect("an object")).expect("parameters");
    block_on(model.generate(prompt.to_vec(), config, keep).expect("it is taken").finish()).expect("an answer")
}

/// The tokens of each sequence.
pub fn tokens(generated: &Generated) -> Vec<Vec<u32>> {
    generated.sequences.iter().map(|sequence| sequence.tokens.clone()).collect()
}
