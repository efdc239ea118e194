//! An architecture against itself, and against the activations of its original.

mod agreement;
mod compare;
mod probe;
mod properties;
mod reference;
mod run;
mod sources;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

pub use agreement::{Agreement, Difference, Layer};
pub use properties::Properties;
use runtime_engine::{PluginFile, Registry};
use runtime_graph::{Dim, Graph, Head, Input, Op};
use runtime_models::ModelFolder;

use crate::Error;
use agreement::Comparison;
use reference::Reference;
use run::{Runner, Text, reads_sources};

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
    /// Those of its source, where the model reads one.
    pub source: Option<usize>,
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
    let tokens = match &reference {
        Some(reference) => reference.tokens.clone(),
        None => encode(folder, &graph, options.text)?,
    };
    // A decoder's own text is its source's, behind the token that it begins with.
    let target = match reference.as_ref().and_then(|reference| reference.target.clone()) {
        _ if !reads_sources(&graph) => None,
        Some(target) => Some(target),
        None => Some(behind_start(folder, &tokens)?),
    };
    let text = match &target {
        Some(target) => Text { source: Some(&tokens), tokens: target },
        None => Text { source: None, tokens: &tokens },
    };

    let runner = Runner { folder };
    let properties = properties::check(&runner, &graph, head, text)?;
    let original = options.reference.zip(reference.as_ref());
    let compare = |(path, reference)| {
        let comparison = Comparison { runner: &runner, graph: &graph, path, reference, text };
        comparison.run(options.tolerance)
    };
    let agreement = original.map(compare).transpose()?;
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
        tokens: text.tokens.len(),
        source: text.source.map(<[u32]>::len),
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
        node.op == Op::Rows && matches!(graph.node(node.inputs[1]).op, Op::Input(Input::TokenIds | Input::SourceIds))
    };
    let table = graph.nodes.iter().find(is_looked_up).map(|node| graph.node(node.inputs[0]).shape.dims());
    let Some([Dim::Fixed(vocabulary), ..]) = table else { return Ok(vec![0; 8]) };
    Ok((1..=12_u32).map(|index| index.wrapping_mul(7919) % vocabulary).collect())
}

/// The tokens behind the one that a decoder begins with, as many as there are.
fn behind_start(folder: &ModelFolder, tokens: &[u32]) -> Result<Vec<u32>, Error> {
    let config = folder.config()?;
    let last = tokens.last().copied().unwrap_or_default();
    let first = config.fields.token_or("decoder_start_token_id", last).unwrap_or(last);
    // A configuration that was made small may still name a token of the large one.
    let first = if config.vocab_size.is_some_and(|size| first >= size) { last } else { first };
    Ok(std::iter::once(first).chain(tokens.iter().copied()).take(tokens.len().max(2)).collect())
}
