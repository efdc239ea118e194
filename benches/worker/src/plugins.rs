//! What plugins cost: loading a component, building a graph, calling a step for a record, and running a model that a plugin
//! describes in place of the same architecture built in.
//!
//! `bench-plugins GUESTS [FOLDER=FAMILY ...]`: GUESTS is the folder of the components that `tests/run` builds, and each
//! FOLDER a model whose FAMILY is one of these components. Prints medians, and in brackets the least and the most.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use runtime_engine::{Options, PluginFile, Registry};
use runtime_graph::{Catalog, DType, Head};
use runtime_models::ModelFolder;
use runtime_plugin_host::{
    Answer, Completion, CompletionStream, Failure, Fields, Granted, Level, Limits, PluginHost, Prompt, StepHost,
    TextHost, Token, Vocabulary,
};
use runtime_tensor::{Batch, Device, Plan, Precision, compile};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let guests = PathBuf::from(arguments.next().ok_or("usage: bench-plugins GUESTS [FOLDER=FAMILY ...]")?);
    let cache = std::env::temp_dir().join("bench-plugins");
    for name in ["bert_plugin", "examples/llama", "redact_pii", "watermark"] {
        load(&cache, name, &guests.join(name).with_extension("wasm"))?;
    }
    build(&cache, &guests.join("examples/llama.wasm"))?;
    step(&cache, &guests.join("examples/step_probe.wasm"))?;
    for argument in arguments {
        let (folder, family) = argument.split_once('=').ok_or("a model is given as FOLDER=FAMILY")?;
        run(&cache, Path::new(folder), family, &guests.join(family).with_extension("wasm"))?;
    }
    Ok(())
}

/// A component whose code is in the cache, by a new host.
fn load(cache: &Path, name: &str, file: &Path) -> Result<()> {
    let once = |host: &PluginHost| -> Result<Duration> {
        let before = Instant::now();
        match name {
            "redact_pii" => drop(host.load_step(file)?),
            "watermark" => drop(host.load_logits(file)?),
            _ => drop(host.load(file)?),
        }
        Ok(before.elapsed())
    };
    once(&host(cache)?)?;
    let times = (0..51).map(|_| once(&host(cache)?)).collect::<Result<Vec<Duration>>>()?;
    report(&format!("load {name} from the cache"), times, 1);
    Ok(())
}

fn host(cache: &Path) -> Result<PluginHost> {
    Ok(PluginHost::new(Some(cache.to_owned()), Limits::default())?)
}

/// The graph of a Llama of 32 layers, over a checkpoint's names and shapes.
fn build(cache: &Path, file: &Path) -> Result<()> {
    let (layers, hidden, inner, vocabulary) = (32, 4096, 11008, 32000);
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden]),
        ("lm_head.weight".to_owned(), vec![vocabulary, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        tensors.extend(
            ["q_proj", "k_proj", "v_proj", "o_proj"].map(|part| (name(&format!("self_attn.{part}")), vec![hidden; 2])),
        );
        tensors.extend(["gate_proj", "up_proj"].map(|part| (name(&format!("mlp.{part}")), vec![inner, hidden])));
        tensors.push((name("mlp.down_proj"), vec![hidden, inner]));
        tensors.extend(["input_layernorm", "post_attention_layernorm"].map(|part| (name(part), vec![hidden])));
    }
    let catalog = Catalog::new(tensors.into_iter().map(|(name, shape)| (name, shape, DType::BF16)), "model");
    let config =
        json!({"model_type": "llama", "num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": inner,
        "num_attention_heads": 32, "vocab_size": vocabulary})
        .to_string();
    let plugin = host(cache)?.load(file)?;
    let mut nodes = 0;
    let mut once = || -> Result<Duration> {
        let catalog = catalog.clone();
        let before = Instant::now();
        nodes = plugin.build(&config, Head::CausalLm, catalog)?.nodes.len();
        Ok(before.elapsed())
    };
    let times = (0..101).map(|_| once()).collect::<Result<Vec<Duration>>>()?;
    report(&format!("graph of {layers} layers, {nodes} nodes"), times, 1);
    Ok(())
}

/// Records through a step that does next to nothing, over one instance.
fn step(cache: &Path, file: &Path) -> Result<()> {
    const RECORDS: u32 = 1000;
    let plugin = host(cache)?.load_step(file)?;
    let granted = Granted { memory: 64 << 20, time: Duration::from_secs(1), log_text: false, by_pipeline: true };
    let parameters = Fields::from_iter([("does".to_owned(), json!("count"))]);
    let nobody: Arc<dyn StepHost> = Arc::new(Nobody);
    let mut step = block_on(plugin.start(parameters, granted, Arc::clone(&nobody)))?;
    for length in [20, 200, 2000] {
        let record = Fields::from_iter([("text".to_owned(), "x".repeat(length).into())]);
        let mut once = || -> Result<Duration> {
            let before = Instant::now();
            for _ in 0..RECORDS {
                std::hint::black_box(block_on(step.process(record.clone(), Arc::clone(&nobody)))?);
            }
            Ok(before.elapsed())
        };
        let times = (0..31).map(|_| once()).collect::<Result<Vec<Duration>>>()?;
        report(&format!("a record of {length} bytes through a step"), times, RECORDS);
    }
    Ok(())
}

/// A model with its architecture built in and from a plugin, in turn.
fn run(cache: &Path, folder: &Path, name: &str, file: &Path) -> Result<()> {
    let registry = Registry::new(Options { plugin_cache: Some(cache.to_owned()), ..Options::default() });
    let folder = ModelFolder::new(folder);
    let graph = |plugin| registry.graph(&folder, plugin, Head::Base);
    let graphs = [graph(None)?, graph(Some(PluginFile::from(file)))?];
    let same = graphs[0].nodes == graphs[1].nodes && graphs[0].outputs == graphs[1].outputs;
    let plan = |index: usize| {
        compile(&graphs[index], &folder.checkpoint()?, Device::Cpu, Precision::F32).map_err(Box::<dyn Error>::from)
    };
    let plans = [plan(0)?, plan(1)?];
    let mut batch = Batch::new();
    batch.push(&(0..64).map(|index| 1000 + index * 7).collect::<Vec<u32>>(), &[]);
    let once = |plan: &dyn Plan| -> Result<Duration> {
        let before = Instant::now();
        std::hint::black_box(plan.run(&batch)?);
        Ok(before.elapsed())
    };
    let (mut built_in, mut plugin, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..61 {
        // Each goes first in half of the rounds.
        let first = once(&*plans[round % 2])?;
        let second = once(&*plans[1 - round % 2])?;
        let (ours, theirs) = if round % 2 == 0 { (first, second) } else { (second, first) };
        built_in.push(ours);
        plugin.push(theirs);
        ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
    }
    println!("{name}: the same graph, node for node: {same}");
    report("  built in, 64 tokens", built_in, 1);
    report("  plugin, 64 tokens", plugin, 1);
    ratios.sort_by(f64::total_cmp);
    println!("  plugin over built in: {:.3} [{:.3} to {:.3}]", ratios[30], ratios[0], ratios[60]);
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>, each: u32) {
    times.sort();
    let micros = |time: Duration| (time / each).as_secs_f64() * 1e6;
    let (least, middle, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: {:.1} us [{:.1} to {:.1}]", micros(middle), micros(least), micros(most));
}

/// A host that a step has nothing of.
struct Nobody;

fn none<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(Failure::NotGranted("nothing is granted".to_owned())) })
}

impl TextHost for Nobody {
    fn encode(&self, _: &str, _: &str, _: bool) -> std::result::Result<Vec<Token>, Failure> {
        Err(Failure::NotGranted("nothing is granted".to_owned()))
    }

    fn vocabulary(&self, _: &str) -> std::result::Result<Vocabulary, Failure> {
        Err(Failure::NotGranted("nothing is granted".to_owned()))
    }

    fn decode(&self, _: &str, _: &[u32], _: bool) -> std::result::Result<String, Failure> {
        Err(Failure::NotGranted("nothing is granted".to_owned()))
    }

    fn token_id(&self, _: &str, _: &str) -> std::result::Result<Option<u32>, Failure> {
        Err(Failure::NotGranted("nothing is granted".to_owned()))
    }

    fn log(&self, _: Level, _: &str) {}
}

impl StepHost for Nobody {
    fn classify<'a>(&'a self, _: &'a str, _: String, _: Option<String>) -> Answer<'a, Vec<(String, f32)>> {
        none()
    }

    fn embed<'a>(&'a self, _: &'a str, _: Vec<String>) -> Answer<'a, Vec<Vec<f32>>> {
        none()
    }

    fn run<'a>(&'a self, _: &'a str, _: Fields) -> Answer<'a, String> {
        none()
    }

    fn complete<'a>(&'a self, _: &'a str, _: Prompt, _: Fields) -> Answer<'a, Vec<Completion>> {
        none()
    }

    fn stream<'a>(&'a self, _: &'a str, _: Prompt, _: Fields) -> Answer<'a, Box<dyn CompletionStream>> {
        none()
    }

    fn score<'a>(&'a self, _: &'a str, _: Prompt, _: Vec<String>) -> Answer<'a, Vec<f64>> {
        none()
    }
}
