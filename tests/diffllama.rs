//! DiffLlama as a plugin, `plugins/diffllama`, against what transformers computes with a tiny model: differential attention,
//! which no operator of the graph is, and what generates with it.
//!
//! `diffllama/model` and `diffllama/recorded.json` are written by `diffllama/record.py`.

use runtime_graph::Head;
use runtime_tensor::Device;
use runtime_tests::{Recorded, open_gpus};

const DIFFLLAMA: Recorded = Recorded { plugin: "diffllama_plugin", folder: "diffllama" };
const HEADS: [(Head, &str); 2] = [(Head::Base, "hidden_states"), (Head::CausalLm, "logits")];

#[test]
fn each_head_computes_what_transformers_computes() {
    DIFFLLAMA.check_heads(&HEADS, &Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| DIFFLLAMA.check_heads(&HEADS, &Device::Gpu(gpu.clone())));
}

#[test]
fn a_sequence_may_be_cut_at_every_place() {
    DIFFLLAMA.check_cuts();
}

#[test]
fn it_generates_what_transformers_generates() {
    DIFFLLAMA.check_generated();
}

#[test]
fn requests_at_once_and_conversations_that_go_on_are_answered_as_alone() {
    DIFFLLAMA.check_requests_at_once();
}

#[test]
fn the_program_runs_it_from_a_file_and_from_its_folder() {
    let arguments = ["In the beginning", "--max-new-tokens", "20", "--param", "do_sample=false"];
    let (answer, without) = DIFFLLAMA.check_program("DiffLlamaForCausalLM", "generate", &arguments);
    assert!(answer.trim_end().len() > 20, "{answer}");
    assert!(without.contains("diffllama"), "{without}");
}
