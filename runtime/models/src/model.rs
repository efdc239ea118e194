//! A folder, an architecture and a device become something that runs.

use std::sync::Arc;

use runtime_architectures::BUILT_IN;
use runtime_graph::{Architecture, Builder, Catalog, Dim, Graph, Head, Input, Node, Op};
use runtime_tensor::{Place, Plan, PlanAdapter, Precision, Weights, compile};

use crate::{Adapted, Adapter, Error, Labels, ModelConfig, ModelFolder, Tokenizer};

/// Who describes a model's graph: a built-in architecture, or a plugin.
pub trait Describe: Sync {
    /// The architecture's name.
    fn name(&self) -> &str;
    /// The prefix of the base model's tensors.
    fn base_prefix(&self) -> &str;
    /// The heads it can build.
    fn heads(&self) -> &[Head];
    /// The graph for a configuration, over the tensors of a catalog.
    ///
    /// # Errors
    /// Where the architecture refuses the configuration or does not fit the weights.
    fn graph(&self, folder: &ModelFolder, config: &ModelConfig, head: Head, catalog: Catalog) -> Result<Graph, Error>;
}

impl Describe for Architecture {
    fn name(&self) -> &str {
        self.name
    }

    fn base_prefix(&self) -> &str {
        self.base_prefix
    }

    fn heads(&self) -> &[Head] {
        self.heads
    }

    fn graph(&self, folder: &ModelFolder, config: &ModelConfig, head: Head, catalog: Catalog) -> Result<Graph, Error> {
        let (builder, recording) = Builder::native(self.name, catalog);
        (self.build)(&builder, &config.fields, head).map_err(|source| Error::Refused {
            architecture: self.name.to_owned(),
            folder: folder.path().to_owned(),
            source,
        })?;
        recording.finish().map_err(|source| Error::Graph { folder: folder.path().to_owned(), source })
    }
}

/// A loaded model.
pub struct Model {
    /// The compiled graph.
    pub plan: Arc<dyn Plan>,
    /// The tokenizer of the same folder.
    pub tokenizer: Tokenizer,
    /// The labels of a classifier.
    pub labels: Labels,
    /// `problem_type` in `config.json`.
    pub problem_type: Option<String>,
    /// What it was loaded for, which says the name and the rows of its output.
    pub head: Head,
    /// Numbers in a row of that output: the classes of a classifier, or the hidden size.
    pub width: usize,
    /// The longest sequence, in tokens: the lesser of the tokenizer's limit and the graph's.
    pub max_tokens: usize,
    /// The longest sequence that the graph can run, in tokens, where there is a limit.
    pub max_positions: Option<usize>,
    /// The longest sequence that the model was trained for, in tokens, where `max_position_embeddings` says.
    pub context: Option<usize>,
}

impl Model {
    /// The architecture that is built in for a configuration.
    ///
    /// # Errors
    /// Where there is none, saying whether the folder wants Python code run instead.
    pub fn built_in(folder: &ModelFolder, config: &ModelConfig) -> Result<&'static Architecture, Error> {
        runtime_architectures::find(&config.model_type).ok_or_else(|| {
            let folder = folder.path().to_owned();
            if config.remote_code {
                return Error::RemoteCode { folder };
            }
            let known = BUILT_IN.iter().flat_map(|architecture| architecture.model_types).copied().collect();
            Error::NoArchitecture { folder, model_type: config.model_type.clone(), known }
        })
    }

    /// The graph of a folder's model, without its weights.
    ///
    /// # Errors
    /// Where configuration, checkpoint and architecture do not fit.
    pub fn graph(
        folder: &ModelFolder,
        config: &ModelConfig,
        describe: &dyn Describe,
        head: Head,
    ) -> Result<Graph, Error> {
        Self::describe(folder, config, folder.checkpoint()?.catalog(describe.base_prefix()), describe, head)
    }

    fn describe(
        folder: &ModelFolder,
        config: &ModelConfig,
        catalog: Catalog,
        describe: &dyn Describe,
        head: Head,
    ) -> Result<Graph, Error> {
        if !describe.heads().contains(&head) {
            return Err(Error::NoHead { architecture: describe.name().to_owned(), head: head.name() });
        }
        describe.graph(folder, config, head, catalog)
    }

    /// Loads the folder's model with a head and an adapter, for a device or several, its weights in a precision. `config` is the
    /// folder's, as the architecture was chosen by.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or the parts do not fit together.
    pub fn load(
        folder: &ModelFolder,
        config: &ModelConfig,
        describe: &dyn Describe,
        head: Head,
        adapter: Option<&Adapter>,
        place: impl Into<Place>,
        precision: Precision,
    ) -> Result<Self, Error> {
        let checkpoint = folder.checkpoint()?;
        let adapted = adapter.map(|adapter| Adapted::new(&checkpoint, adapter)).transpose()?;
        let prefix = describe.base_prefix();
        let (weights, catalog): (&(dyn Weights + Sync), Catalog) = match &adapted {
            Some(adapted) => (adapted, adapted.catalog(prefix)),
            None => (&checkpoint, checkpoint.catalog(prefix)),
        };
        let graph = Self::describe(folder, config, catalog, describe, head)?;
        // Parsing the tokenizer takes about as long as converting the weights.
        let place = place.into();
        let (tokenizer, plan) = rayon::join(|| folder.tokenizer(), || compile(&graph, weights, place, precision));
        let tokenizer = tokenizer?;
        let plan = plan.map_err(|source| Error::Compile { folder: folder.path().to_owned(), source })?;
        check_vocabulary(folder, config, &graph, &tokenizer)?;
        let (output, rows) = (head.output(), head.rows());
        let width = graph.output(output).and_then(|value| graph.node(value).shape.as_matrix());
        let Some((_, width)) = width.filter(|(dim, _)| *dim == rows) else {
            return Err(Error::NoOutput { architecture: describe.name().to_owned(), output, rows });
        };
        let labels = config.labels.names().len();
        if head.is_labelled() && labels > 0 && labels != width as usize {
            return Err(Error::Labels { folder: folder.path().to_owned(), outputs: width, labels });
        }
        if let Some((label, id)) = config.labels.beyond(width as usize).filter(|_| head.is_labelled()) {
            let (folder, label) = (folder.path().to_owned(), label.to_owned());
            return Err(Error::NoClass { folder, label, id, outputs: width });
        }
        let positions = positions(&graph);
        if let (Some(max_sequence), Some(rows)) = (graph.max_sequence, positions)
            && max_sequence > rows
        {
            return Err(Error::Positions { folder: folder.path().to_owned(), max_sequence, rows });
        }
        let max_sequence = graph.max_sequence.or(positions).map(|limit| limit as usize);
        let max_tokens = [tokenizer.max_length(), max_sequence].into_iter().flatten().min().unwrap_or(usize::MAX);
        let (labels, problem_type) = (config.labels.clone(), config.problem_type.clone());
        let (width, max_positions) = (width as usize, max_sequence);
        let trained = config.fields.size("max_position_embeddings").ok().map(|size| size as usize);
        let context = [trained, max_positions].into_iter().flatten().min();
        Ok(Self { plan, tokenizer, labels, problem_type, head, width, max_tokens, max_positions, context })
    }

    /// Brings an adapter into the form in which single requests are computed with it, while others are not. The model is
    /// that of `folder`.
    ///
    /// # Errors
    /// Where the adapter is for another model, or does more than can be done beside a model's weights.
    pub fn adapter(&self, folder: &ModelFolder, adapter: &Adapter) -> Result<PlanAdapter, Error> {
        let checkpoint = folder.checkpoint()?;
        let low_ranks = Adapted::new(&checkpoint, adapter)?.low_ranks()?;
        let path = adapter.path().to_owned();
        self.plan.adapter(&low_ranks).map_err(|source| match source {
            runtime_tensor::Error::NoProduct { .. } => Error::AdapterBeside { path, reason: source.to_string() },
            source => Error::Adapter { path, reason: source.to_string() },
        })
    }
}

/// The rows of the smallest table in which the graph looks one of these inputs up.
fn rows_for(graph: &Graph, inputs: &[Input]) -> Option<u32> {
    let looked_up = |op: &Op| matches!(op, Op::Input(input) if inputs.contains(input));
    lookups(graph).filter(|(op, _)| looked_up(op)).map(|(_, rows)| rows).min()
}

/// The tokens that there are positions for.
fn positions(graph: &Graph) -> Option<u32> {
    let counted = |(op, rows): (&Op, u32)| match op {
        Op::Input(Input::Positions { first, .. } | Input::SourcePositions { first, .. }) => {
            Some(rows.saturating_sub(*first))
        }
        _ => None,
    };
    lookups(graph).filter_map(counted).min()
}

/// What rows are looked up by, and the number of rows.
fn lookups(graph: &Graph) -> impl Iterator<Item = (&Op, u32)> {
    let looks_up = |node: &&Node| node.op == Op::Rows;
    graph.nodes.iter().filter(looks_up).filter_map(|node| match graph.node(node.inputs[0]).shape.dims() {
        [Dim::Fixed(rows), ..] => Some((&graph.node(node.inputs[1]).op, *rows)),
        _ => None,
    })
}

/// Every id and type that the tokenizer can give, those of its special tokens included, must have a row in the model's
/// tables.
fn check_vocabulary(
    folder: &ModelFolder,
    config: &ModelConfig,
    graph: &Graph,
    tokenizer: &Tokenizer,
) -> Result<(), Error> {
    let any = tokenizer.pieces("a", 1)?;
    let framed = [Some(tokenizer.single(&any, usize::MAX)?), tokenizer.pair(&any, &any, usize::MAX)?];
    let highest = tokenizer.highest_id();
    let types = framed.iter().flatten().flat_map(|frame| frame.token_types.iter().copied());
    let highest_type = types.max().unwrap_or(0);
    if let Some(rows) = rows_for(graph, &[Input::TokenTypes]).filter(|rows| highest_type >= *rows) {
        return Err(Error::TokenTypes { folder: folder.path().to_owned(), highest: highest_type, rows });
    }
    let embeddings = rows_for(graph, &[Input::TokenIds, Input::SourceIds]);
    let counts = [(config.vocab_size, "`vocab_size`"), (embeddings, "number of token embeddings")];
    let too_few = counts.into_iter().find_map(|(rows, table)| Some((rows.filter(|rows| highest >= *rows)?, table)));
    too_few.map_or(Ok(()), |(rows, table)| {
        Err(Error::Vocabulary { folder: folder.path().to_owned(), highest, table, rows })
    })
}
