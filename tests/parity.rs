//! The built-in BERT and its plugin form are one program: the same graph, and the same results bit for bit.

use std::sync::Arc;

use runtime_engine::{Error, Options, Registry};
use runtime_graph::{Graph, Head};
use runtime_models::{Error as ModelError, ModelFolder};
use runtime_tensor::{Batch, Device, Error as TensorError, Plan, Precision, compile};
use runtime_tests::{guest, root};

const FOLDERS: [&str; 3] =
    ["pipelines/models/triage-nli", "tests/goldens/models/bert-nli", "tests/goldens/models/bert-nli-first"];

fn registry() -> Registry {
    Registry::new(Options { plugin_cache: Some(root().join("target/test-cache")), ..Options::default() })
}

fn plan(folder: &ModelFolder, graph: &Graph) -> Arc<dyn Plan> {
    compile(graph, &folder.checkpoint().expect("it has weights"), Device::Cpu, Precision::F32).expect("it compiles")
}

/// Sequences of 1 to 60 tokens of the smallest vocabulary, the later half with pairs.
fn batch() -> Batch {
    let mut batch = Batch::new();
    for length in [1, 7, 60, 23, 2] {
        let ids: Vec<u32> = (0..length).map(|index| (index * 37 + length * 11) % 400).collect();
        let types: Vec<u32> = (0..length).map(|index| u32::from(index > length / 2)).collect();
        batch.push(&ids, &types);
    }
    batch
}

#[test]
fn both_forms_record_one_graph_and_compute_the_same_bits() {
    let (registry, plugin) = (registry(), guest("bert_plugin"));
    for folder in FOLDERS.map(|folder| ModelFolder::new(root().join(folder))) {
        for (head, output) in [(Head::Base, "hidden_states"), (Head::SequenceClassification, "logits")] {
            let built_in = registry.graph(&folder, None, head).expect("the built-in form describes it");
            let plugged = registry.graph(&folder, Some((&plugin).into()), head).expect("the plugin form describes it");
            assert_eq!(built_in, plugged);
            let bits = |graph: &Graph| {
                let outputs = plan(&folder, graph).run(&batch()).expect("it runs");
                let result = outputs.get(output).expect("it has the output of its head");
                result.data.iter().map(|number| number.to_bits()).collect::<Vec<_>>()
            };
            let (built_in, plugged) = (bits(&built_in), bits(&plugged));
            assert!(
                built_in.len() >= 5 && built_in.iter().any(|bits| *bits != built_in[0]),
                "there is something to compare"
            );
            assert_eq!(built_in, plugged, "{} of {}", output, folder.path().display());
        }
    }
}

#[test]
fn a_graph_that_would_take_the_hosts_time_is_refused_before_it_runs() {
    let folder = ModelFolder::new(root().join(FOLDERS[1]));
    let loaded = registry().load(&folder, Some(guest("examples/costly_graph").as_path()), Head::SequenceClassification);
    match loaded.err() {
        Some(Error::Model(ModelError::Compile { source: TensorError::TooCostly { needs, limit, .. }, .. })) => {
            assert!(needs > limit);
        }
        other => panic!("it is not refused for its cost: {other:?}"),
    }
}
