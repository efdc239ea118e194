//! BLOOM as a plugin, `plugins/bloom`, against what transformers computes with a tiny model: ALiBi, and a product of queries,
//! keys and values that has them side by side for each head.
//!
//! `bloom/model` and `bloom/recorded.json` are written by `bloom/record.py`.

use runtime_graph::Head;
use runtime_tensor::Device;
use runtime_tests::{Recorded, open_gpus};

const BLOOM: Recorded = Recorded { plugin: "bloom_plugin", folder: "bloom" };
const HEADS: [(Head, &str); 2] = [(Head::Base, "hidden_states"), (Head::CausalLm, "logits")];

#[test]
fn each_head_computes_what_transformers_computes() {
    BLOOM.check_heads(&HEADS, &Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| BLOOM.check_heads(&HEADS, &Device::Gpu(gpu.clone())));
}

#[test]
fn a_sequence_may_be_cut_at_every_place() {
    BLOOM.check_cuts();
}

#[test]
fn it_generates_what_transformers_generates() {
    BLOOM.check_generated();
}

#[test]
fn requests_at_once_and_conversations_that_go_on_are_answered_as_alone() {
    BLOOM.check_requests_at_once();
}

#[test]
fn the_program_runs_it_from_a_file_and_from_its_folder() {
    let arguments = ["In the beginning", "--max-new-tokens", "20", "--param", "do_sample=false"];
    let (answer, without) = BLOOM.check_program("BloomForCausalLM", "generate", &arguments);
    assert!(answer.trim_end().len() > 20, "{answer}");
    assert!(without.contains("bloom"), "{without}");
}
