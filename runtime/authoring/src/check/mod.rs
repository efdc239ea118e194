//! An architecture against itself, and against the activations of its original.

mod agreement;
mod compare;
mod probe;
mod properties;
mod reference;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime_engine::{PluginFile, Registry};
use runtime_graph::{Dim, Graph, Head, Input, Op};
use runtime_models::ModelFolder;
use runtime_tensor::{Batch, Device, Outputs, Plan, Precision, compile};

pub use agreement::{Agreement, Difference, Layer};
pub use properties::Properties;

use crate::Error;
use probe::probes;
use reference::Reference;

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The model.
    pub folder: &'a ModelFolder,
    /// Who describes it; by default what the folder brings along, or a built-in architecture.
    pub plugin: Option<PluginFile<'a>>,
    /// By default that of the class that was recorded, or the one that `config.json` is for.
    pub head: Option<Head>,
    /// What is run where nothing was recorded.
    pub text: &'a str,
    /// The file that `record.py` has written.
    pub reference: Option<&'a Path>,
    /// The largest difference that is none, over the largest magnitude in the original's tensor.
    pub tolerance: f64,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The architecture's name.
    pub architecture: String,
    /// The head that was built.
    pub head: Head,
    /// Operators, inputs and weights of the graph.
    pub nodes: usize,
    /// How long recording the graph took, once the plugin was there.
    pub recording: Duration,
    /// Tensors of the checkpoint that the graph reads.
    pub read: usize,
    /// The names of those that it does not.
    pub unread: Vec<String>,
    /// Tokens of the text.
    pub tokens: usize,
    /// What must hold of every model.
    pub properties: Properties,
    /// The comparison with the original, where one was recorded.
    pub agreement: Option<Agreement>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.properties.hold() && self.agreement.as_ref().is_none_or(Agreement::holds)
    }
}

/// Records the graph, runs it on the processor, and compares.
///
/// # Errors
/// Where the graph cannot be recorded or run, or the reference is none of this model.
pub fn check(registry: &Registry, options: &Check<'_>) -> Result<Report, Error> {
    let Check { folder, plugin, .. } = *options;
    let reference = options.reference.map(Reference::read).transpose()?;
    let of_config = || Ok::<_, Error>(folder.config()?.head.unwrap_or(Head::Base));
    let head = match options.head.or(reference.as_ref().and_then(|reference| reference.head)) {
        Some(head) => head,
        None => of_config()?,
    };
    // Once to load the plugin.
    registry.graph(folder, plugin, head)?;
    let before = Instant::now();
    let graph = registry.graph(folder, plugin, head)?;
    let recording = before.elapsed();
    if graph.nodes.iter().any(|node| matches!(node.op, Op::Input(input) if input.rows() == Dim::Source)) {
        return Err(Error::Source);
    }
    let tokens = match &reference {
        Some(reference) => reference.tokens.clone(),
        None => encode(folder, &graph, options.text)?,
    };

    let runner = Runner { folder };
    let properties = properties::check(&runner, &graph, head, &tokens)?;
    let agreement = match (options.reference, &reference) {
        (Some(path), Some(reference)) => Some(agreement::compare(&runner, &graph, path, reference, options.tolerance)?),
        _ => None,
    };
    let checkpoint = folder.checkpoint()?;
    let weights = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Weight { name } => Some(checkpoint.tensor_of(name)),
        _ => None,
    });
    let weights: HashSet<String> = weights.collect();
    let (read, unread): (Vec<&str>, Vec<&str>) =
        checkpoint.names().into_iter().partition(|name| weights.contains(*name));
    Ok(Report {
        architecture: graph.name.clone(),
        head,
        nodes: graph.nodes.len(),
        recording,
        read: read.len(),
        unread: unread.into_iter().map(str::to_owned).collect(),
        tokens: tokens.len(),
        properties,
        agreement,
    })
}

/// The tokens of a text, by the folder's tokenizer; without one, ids of the vocabulary that are far apart.
fn encode(folder: &ModelFolder, graph: &Graph, text: &str) -> Result<Vec<u32>, Error> {
    if folder.file("tokenizer.json").is_file() || folder.gguf_file()?.is_some() {
        let tokenizer = folder.tokenizer()?;
        let pieces = tokenizer.pieces(text, usize::MAX)?;
        let encoding = tokenizer.single(&pieces, graph.max_sequence.map_or(usize::MAX, |most| most as usize))?;
        if !encoding.token_ids.is_empty() {
            return Ok(encoding.token_ids);
        }
    }
    let is_looked_up = |node: &&runtime_graph::Node| {
        node.op == Op::Rows && graph.node(node.inputs[1]).op == Op::Input(Input::TokenIds)
    };
    let table = graph.nodes.iter().find(is_looked_up).map(|node| graph.node(node.inputs[0]).shape.dims());
    let Some([Dim::Fixed(vocabulary), ..]) = table else { return Ok(vec![0; 8]) };
    Ok((1..=12_u32).map(|index| index.wrapping_mul(7919) % vocabulary).collect())
}

/// Runs graphs of one model.
struct Runner<'a> {
    folder: &'a ModelFolder,
}

impl Runner<'_> {
    fn compile(&self, graph: &Graph) -> Result<std::sync::Arc<dyn Plan>, Error> {
        let checkpoint = self.folder.checkpoint()?;
        compile(graph, &checkpoint, Device::Cpu, Precision::F32).map_err(|source| self.failed(source))
    }

    /// The results of sequences, with all of their rows.
    fn run(&self, plan: &dyn Plan, sequences: &[&[u32]]) -> Result<Outputs, Error> {
        let mut batch = Batch::new();
        sequences.iter().for_each(|tokens| batch.push(tokens, &[]));
        ask_all(&mut batch);
        plan.run(&batch).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: runtime_tensor::Error) -> Error {
        Error::Run { folder: self.folder.path().to_owned(), source }
    }
}

fn ask_all(batch: &mut Batch) {
    (0..batch.tokens()).filter_map(|row| u32::try_from(row).ok()).for_each(|row| batch.ask_row(row));
}
