//! SqueezeBERT as a plugin, `plugins/squeezebert`, against what transformers computes with a tiny model: an encoder of
//! convolutions in groups, with each of its heads.
//!
//! `squeezebert/model` and `squeezebert/recorded.json` are written by `squeezebert/record.py`.

use runtime_graph::Head;
use runtime_tensor::Device;
use runtime_tests::{Recorded, open_gpus};
use serde_json::Value;

const SQUEEZEBERT: Recorded = Recorded { plugin: "squeezebert_plugin", folder: "squeezebert" };
const HEADS: [(Head, &str); 5] = [
    (Head::Base, "hidden_states"),
    (Head::SequenceClassification, "sequence_classification"),
    (Head::TokenClassification, "token_classification"),
    (Head::QuestionAnswering, "question_answering"),
    (Head::MaskedLm, "masked_lm"),
];

#[test]
fn each_head_computes_what_transformers_computes() {
    assert_eq!(HEADS.map(|(head, _)| head), Head::OF_ENCODERS);
    SQUEEZEBERT.check_heads(&HEADS, &Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| SQUEEZEBERT.check_heads(&HEADS, &Device::Gpu(gpu.clone())));
}

#[test]
fn the_program_does_tasks_with_it() {
    for case in SQUEEZEBERT.cases("tasks") {
        let task = case["task"].as_str().expect("a name");
        let text = case["text"].as_str().expect("a text");
        let class = case["class"].as_str().expect("a name");
        let arguments = [text, "--param", "top_k=3"];
        let (found, without) = SQUEEZEBERT.check_program(class, &format!("task {task}"), &arguments);
        let found: Value = serde_json::from_str(found.lines().next().expect("a record")).expect("JSON");
        let expected = case["result"].as_array().expect("a list");
        let found = found.as_array().expect("a list");
        assert_eq!(found.len(), expected.len(), "{task}");
        for (found, expected) in found.iter().zip(expected) {
            for field in ["label", "token", "token_str"] {
                assert_eq!(found.get(field), expected.get(field), "{task}");
            }
            let [score, recorded] = [found, expected].map(|of| of["score"].as_f64().expect("a score"));
            assert!((score - recorded).abs() <= 1e-4 * recorded, "{task}: {score}, not {recorded}");
        }
        assert!(without.contains("squeezebert"), "{without}");
    }
}
