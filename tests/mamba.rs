//! Mamba as a plugin, `plugins/mamba`, against what transformers computes with a tiny model: an architecture that is not
//! built in and has no attention, on states that the host keeps.
//!
//! `mamba/model` and `mamba/recorded.json` are written by `mamba/record.py`.

use runtime_graph::Head;
use runtime_tensor::Device;
use runtime_tests::{Recorded, ask, ids, open_gpus, tokens};
use serde_json::json;

const MAMBA: Recorded = Recorded { plugin: "mamba_plugin", folder: "mamba" };
const HEADS: [(Head, &str); 2] = [(Head::Base, "hidden_states"), (Head::CausalLm, "logits")];

#[test]
fn each_head_computes_what_transformers_computes() {
    MAMBA.check_heads(&HEADS, &Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| MAMBA.check_heads(&HEADS, &Device::Gpu(gpu.clone())));
}

#[test]
fn a_sequence_may_be_cut_at_every_place() {
    MAMBA.check_cuts();
}

#[test]
fn it_generates_what_transformers_generates() {
    MAMBA.check_generated();
}

#[test]
fn requests_at_once_and_conversations_that_go_on_are_answered_as_alone() {
    MAMBA.check_requests_at_once();
}

#[test]
fn no_guess_is_made_that_could_not_be_taken_back() {
    let model = MAMBA.language_model();
    let prompt = ids(&MAMBA.cases("generated")[0]["input_ids"]);
    let mut params = json!({"do_sample": false, "max_new_tokens": 50});
    let plain = ask(&model, &prompt, &params, false);
    params["prompt_lookup_num_tokens"] = json!(4);
    let guessing = ask(&model, &prompt, &params, false);
    assert_eq!((tokens(&guessing), guessing.guessed_tokens), (tokens(&plain), 0));
}

#[test]
fn the_program_runs_it_from_a_file_and_from_its_folder() {
    let arguments = ["In the beginning", "--max-new-tokens", "20", "--param", "do_sample=false"];
    let (answer, without) = MAMBA.check_program("MambaForCausalLM", "generate", &arguments);
    assert!(answer.trim_end().len() > 20, "{answer}");
    assert!(without.contains("mamba"), "{without}");
}
