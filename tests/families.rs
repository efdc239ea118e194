//! Every family with every head, in both of its forms, against what transformers computes.
//!
//! `families/` holds a tiny model in each folder, recorded by `families/record.py`.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use runtime_architectures::BUILT_IN;
use runtime_engine::{Options, Registry};
use runtime_graph::{Graph, Head};
use runtime_models::ModelFolder;
use runtime_tensor::{Batch, Cached, Device, Matrix, Place, Plan, Precision, Share, compile, layers};
use runtime_tests::{guest, open_gpus, root};
use serde_json::Value;

/// The recorded numbers have 7 digits, and both sides compute in single precision.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-4;

struct Recorded {
    ids: Vec<u32>,
    /// The tokens behind the source, where `ids` are that.
    target: Option<Vec<u32>>,
    output: Vec<Vec<f64>>,
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/families")).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn recorded(folder: &ModelFolder) -> Vec<Recorded> {
    let text = fs::read_to_string(folder.file("case.json")).expect("the case is there");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("the case is JSON");
    let parse = |case: &Value| Recorded {
        ids: serde_json::from_value(case["input_ids"].clone()).expect("ids"),
        target: case.get("decoder_input_ids").map(|ids| serde_json::from_value(ids.clone()).expect("ids")),
        output: serde_json::from_value(case["output"].clone()).expect("rows of numbers"),
    };
    cases.iter().map(parse).collect()
}

fn registry() -> Registry {
    Registry::new(Options { plugin_cache: Some(root().join("target/test-cache")), ..Options::default() })
}

fn run(plan: &dyn Plan, head: Head, sequences: &[&Recorded]) -> Matrix {
    if head == Head::Seq2SeqLm {
        return run_behind_sources(plan, sequences);
    }
    let mut batch = Batch::new();
    for sequence in sequences {
        let first = u32::try_from(batch.tokens()).expect("few tokens");
        batch.push(&sequence.ids, &[]);
        if matches!(head, Head::MaskedLm | Head::CausalLm) {
            batch.ask_row(first + 1);
            batch.ask_row(first + u32::try_from(sequence.ids.len()).expect("few tokens") - 2);
        }
    }
    plan.run(&batch).expect("it runs").get(head.output()).expect("it has the output of its head").clone()
}

/// Reads the sources, then runs the targets in two parts.
fn run_behind_sources(plan: &dyn Plan, sequences: &[&Recorded]) -> Matrix {
    let mut cache = plan.cache(100).expect("keys and values can be kept");
    let mut batch = Batch::new();
    let mut sources: Vec<Cached> = sequences.iter().map(|_| Cached::new()).collect();
    for (source, sequence) in sources.iter_mut().zip(sequences) {
        cache.reserve(source, sequence.ids.len()).expect("there is room");
        batch.push_after(source, &sequence.ids);
    }
    plan.read_sources(&batch, &mut cache).expect("it reads");
    let mut pasts: Vec<Cached> = sequences.iter().map(|_| Cached::new()).collect();
    let targets = sequences.iter().map(|sequence| sequence.target.as_deref().expect("a target"));
    let mut parts = Vec::new();
    for first in [true, false] {
        let mut batch = Batch::new();
        for ((source, past), (sequence, target)) in
            sources.iter_mut().zip(&mut pasts).zip(sequences.iter().zip(targets.clone()))
        {
            if first {
                source.advance(sequence.ids.len());
            }
            let next = if first { &target[..2] } else { &target[2..] };
            cache.reserve(past, next.len()).expect("there is room");
            batch.push_after_source(past, source, next);
            past.advance(next.len());
            let row = batch.tokens() - if first { 1 } else { 2 };
            batch.ask_row(u32::try_from(row).expect("few tokens"));
        }
        let outputs = plan.run_after(&batch, &mut cache).expect("it runs");
        parts.push(outputs.get("logits").expect("it has the output of its head").clone());
    }
    let width = parts[0].width;
    let rows = (0..sequences.len()).flat_map(|row| parts.iter().flat_map(move |part| part.row(row).to_vec()));
    Matrix { rows: 2 * sequences.len(), width, data: rows.collect() }
}

fn bits(matrix: &Matrix) -> Vec<u32> {
    matrix.data.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn each_head_computes_what_transformers_computes() {
    check(&Device::Cpu);
}

#[test]
fn each_head_computes_it_on_a_gpu_too() {
    open_gpus().iter().for_each(|gpu| check(&Device::Gpu(gpu.clone())));
}

/// One of the models, with what is recorded of it.
struct Case {
    path: PathBuf,
    folder: ModelFolder,
    head: Head,
    graph: Graph,
    recorded: Vec<Recorded>,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        folders().into_iter().map(|path| {
            let folder = ModelFolder::new(&path);
            let head = folder.config().expect("a configuration").head.expect("a class of transformers");
            let graph = registry().graph(&folder, None, head).expect("a built-in architecture describes it");
            let recorded = recorded(&folder);
            Self { path, folder, head, graph, recorded }
        })
    }

    fn plan(&self, place: impl Into<Place>) -> Arc<dyn Plan> {
        let weights = self.folder.checkpoint().expect("weights");
        compile(&self.graph, &weights, place, Precision::F32).expect("it compiles")
    }

    /// A plan with the layers up to `at` on one device, and those behind on the other.
    fn cut(&self, at: usize, devices: [Device; 2]) -> Arc<dyn Plan> {
        let [first, second] = devices;
        let (first, second) =
            (Share { device: first, layers: 0..at }, Share { device: second, layers: at..layers(&self.graph) });
        self.plan(Place::Shares(vec![first, second]))
    }

    fn run(&self, plan: &dyn Plan) -> Matrix {
        run(plan, self.head, &self.recorded.iter().collect::<Vec<_>>())
    }
}

#[test]
fn layers_on_several_devices_compute_the_same_bits() {
    for case in Case::all() {
        let (expected, count) = (bits(&case.run(&*case.plan(Device::Cpu))), layers(&case.graph));
        assert!(count >= 2, "{} has {count} layers", case.path.display());
        for at in 1..count {
            let found = case.run(&*case.cut(at, [Device::Cpu, Device::Cpu]));
            assert!(bits(&found) == expected, "{}, cut at {at} of {count}", case.path.display());
        }
        let each = (0..count).map(|layer| Share { device: Device::Cpu, layers: layer..layer + 1 }).collect();
        assert!(bits(&case.run(&*case.plan(Place::Shares(each)))) == expected, "{}, in layers", case.path.display());
    }
}

#[test]
fn layers_on_the_processor_and_a_gpu_compute_nearly_the_same() {
    for gpu in open_gpus() {
        // In the middle of a family's first model: the others have the same layers.
        let mut known = HashSet::new();
        for case in Case::all() {
            if !known.insert((case.graph.name.clone(), case.head == Head::Seq2SeqLm)) {
                continue;
            }
            let (expected, half) = (case.run(&*case.plan(Device::Cpu)), layers(&case.graph) / 2);
            for devices in [[Device::Cpu, Device::Gpu(gpu.clone())], [Device::Gpu(gpu.clone()), Device::Cpu]] {
                let found = case.run(&*case.cut(half, devices));
                assert_eq!((found.rows, found.width), (expected.rows, expected.width), "{}", case.path.display());
                for (found, expected) in found.data.iter().zip(&expected.data) {
                    let (found, expected) = (f64::from(*found), f64::from(*expected));
                    let off = (found - expected).abs() / (ABSOLUTE + RELATIVE * expected.abs());
                    assert!(off <= 1.0, "{}: {found}, not {expected}", case.path.display());
                }
            }
        }
    }
}

fn check(device: &Device) {
    let mut wrong = Vec::new();
    for path in folders() {
        let folder = ModelFolder::new(&path);
        let head = folder.config().expect("a configuration").head.expect("a class of transformers");
        let graph = registry().graph(&folder, None, head).expect("a built-in architecture describes it");
        let weights = folder.checkpoint().expect("weights");
        let plan = compile(&graph, &weights, device.clone(), Precision::F32).expect("it compiles");
        let recorded = recorded(&folder);
        assert!(recorded.len() >= 2, "{}", path.display());
        let together = run(&*plan, head, &recorded.iter().collect::<Vec<_>>());
        let mut from = 0;
        for sequence in &recorded {
            let alone = run(&*plan, head, &[sequence]);
            assert_eq!((alone.rows, alone.width), (sequence.output.len(), sequence.output[0].len()), "{path:?}");
            let same = &together.data[from..from + alone.data.len()];
            from += alone.data.len();
            if matches!(device, Device::Cpu) {
                let same: Vec<u32> = same.iter().map(|number| number.to_bits()).collect();
                assert_eq!(bits(&alone), same, "{}: alone and in a batch", path.display());
            }
            let off =
                sequence.output.iter().flatten().zip(&alone.data).map(|(expected, found)| {
                    (expected - f64::from(*found)).abs() / (ABSOLUTE + RELATIVE * expected.abs())
                });
            let off: Vec<f64> = off.collect();
            // Not by the greatest of them, which leaves out what is no number.
            if !off.iter().all(|off| *off <= 1.0) {
                let most = off.into_iter().fold(0.0, f64::max);
                wrong.push(format!("{}, {} tokens: off by {most} tolerances", path.display(), sequence.ids.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_family_and_head_is_recorded() {
    let configs = folders().into_iter().map(|path| ModelFolder::new(path).config().expect("a configuration"));
    let recorded: HashSet<(String, Option<Head>)> = configs.map(|config| (config.model_type, config.head)).collect();
    for family in BUILT_IN {
        for head in family.heads {
            let found = family.model_types.iter().any(|name| recorded.contains(&((*name).to_owned(), Some(*head))));
            assert!(found, "{} with the head {}", family.name, head.name());
        }
        for name in family.model_types {
            assert!(recorded.iter().any(|(recorded, _)| recorded == name), "{name}");
        }
    }
}

#[test]
fn the_plugin_form_records_the_same_graph() {
    for path in folders() {
        let folder = ModelFolder::new(&path);
        let config = folder.config().expect("a configuration");
        let family = runtime_architectures::find(&config.model_type).expect("it is built in");
        let plugin = match family.name {
            "bert" => guest("bert_plugin"),
            other => guest(&format!("examples/{}", other.replace('-', "_"))),
        };
        let head = config.head.expect("a class of transformers");
        let built_in = registry().graph(&folder, None, head).expect("the built-in form describes it");
        let plugged = registry().graph(&folder, Some((&plugin).into()), head).expect("the plugin form describes it");
        assert_eq!(built_in, plugged, "{}", path.display());
    }
}
