//! The activations of a graph beside those of its original.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use runtime_graph::{Dim, Graph, Node, Op, ValueId};

use super::compare::{Apart, apart};
use super::probe::{Probe, probes};
use super::reference::Reference;
use super::run::{Runner, Text};
use crate::Error;

/// What the names begin with that the recorder has for what the model itself returns.
const RESULT: &str = "result.";

/// An error that is this many times the largest before it comes of more than rounding.
const JUMP: f64 = 30.0;

/// What single precision leaves of an operator or two: errors below are not looked at.
const ROUNDING: f64 = 1e-6;

/// How a graph compares with its original.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Each layer, and what is before, between and behind them, up to the first difference.
    pub layers: Vec<Layer>,
    /// Where they first differ.
    pub first: Option<Difference>,
    /// The first activation that agrees but with an error far above all before it, and that error: what differs may be small,
    /// such as one kind of GELU from another.
    pub jump: Option<(String, f64)>,
    /// Activations of the graph that were not recorded.
    pub not_recorded: Vec<String>,
    /// Those whose sizes are others than what was recorded, with both.
    pub unlike: Vec<String>,
    /// What was recorded of modules that no operator of the graph is.
    pub not_in_graph: Vec<String>,
}

/// A layer's activations, all of which agree.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its number; embeddings and heads are in none.
    pub layer: Option<u32>,
    /// How many were compared.
    pub compared: usize,
    /// The largest error.
    pub largest: f64,
    /// Where that is.
    pub worst: String,
}

/// A first difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The activation, such as `model.layers.0.self_attn.o_proj.input`.
    pub name: String,
    /// The largest difference over the largest magnitude in the original's.
    pub error: f64,
    /// Where that is: the token's row.
    pub row: usize,
    /// And the column.
    pub column: usize,
    /// The number there.
    pub ours: f32,
    /// The original's.
    pub theirs: f32,
    /// The first row that differs: those before it agree.
    pub first_row: usize,
    /// The activations that it is computed from, and that agree.
    pub from: Vec<String>,
    /// The operators in between, as `runtime model graph` prints them, and the weights that they take.
    pub by: Vec<String>,
}

/// A graph, what was recorded of its original, and the text that both have run.
pub(super) struct Comparison<'a> {
    pub(super) runner: &'a Runner<'a>,
    pub(super) graph: &'a Graph,
    pub(super) path: &'a Path,
    pub(super) reference: &'a Reference,
    pub(super) text: Text<'a>,
}

impl Comparison<'_> {
    pub(super) fn run(&self, tolerance: f64) -> Result<Agreement, Error> {
        let Self { graph, reference, .. } = *self;
        let probes: Vec<Probe> = probes(graph, Some(reference)).into_iter().chain(results(graph)).collect();
        let values = probes.iter().flat_map(|probe| probe.values.iter().copied());
        let outputs = self.runner.values(graph, values, self.text)?;
        let mut agreement = Agreement::default();
        let (mut known, mut agreeing) = (HashSet::new(), Vec::new());
        for probe in &probes {
            let Some((name, recorded)) = reference.find(&probe.name) else {
                agreement.not_recorded.push(probe.name.clone());
                continue;
            };
            known.insert(name);
            // What follows a difference differs as well.
            if agreement.first.is_some() {
                continue;
            }
            let ours = probe.values.iter().filter_map(|value| outputs.get(value));
            let nearest = ours.filter_map(|ours| apart(ours, recorded, tolerance));
            match nearest.min_by(|a, b| a.error.total_cmp(&b.error)) {
                None => {
                    let shape = &graph.node(probe.values[0]).shape;
                    agreement.unlike.push(format!("{}: {shape} here, {:?} recorded", probe.name, recorded.shape));
                }
                Some(found) if found.error <= tolerance => {
                    agreement.watch(&probe.name, found.error);
                    agreement.count(graph.nodes[probe.node].layer, &probe.name, found.error);
                    agreeing.push(probe);
                }
                Some(found) => agreement.first = Some(difference(graph, probe, &found, &agreeing)),
            }
        }
        if known.iter().all(|name| name.starts_with(RESULT)) {
            return Err(nothing_in_common(self.path, reference, &probes));
        }
        let unknown = reference.tensors().map(|(name, _)| name).filter(|name| !known.contains(name));
        agreement.not_in_graph = unknown.map(str::to_owned).collect();
        Ok(agreement)
    }
}

/// The graph's own results, under the names that the recorder has for them.
fn results(graph: &Graph) -> impl Iterator<Item = Probe> {
    graph.outputs.iter().map(|output| {
        let name = if output.name == "hidden_states" { "last_hidden_state" } else { &output.name };
        Probe { name: format!("{RESULT}{name}"), values: vec![output.value], node: output.value.index() }
    })
}

impl Agreement {
    /// Whether everything that was compared agrees, and is of the recorded sizes.
    pub fn holds(&self) -> bool {
        self.first.is_none() && self.unlike.is_empty()
    }

    /// How many activations agree.
    pub fn compared(&self) -> usize {
        self.layers.iter().map(|layer| layer.compared).sum()
    }

    fn count(&mut self, layer: Option<u32>, name: &str, error: f64) {
        if self.layers.last().is_none_or(|last| last.layer != layer) {
            self.layers.push(Layer { layer, compared: 0, largest: 0.0, worst: name.to_owned() });
        }
        if let Some(last) = self.layers.last_mut() {
            last.compared += 1;
            if error > last.largest {
                (last.largest, last.worst) = (error, name.to_owned());
            }
        }
    }

    fn watch(&mut self, name: &str, error: f64) {
        let before = self.layers.iter().map(|layer| layer.largest).fold(ROUNDING, f64::max);
        if self.jump.is_none() && error > JUMP * before {
            self.jump = Some((name.to_owned(), error));
        }
    }
}

fn difference(graph: &Graph, probe: &Probe, found: &Apart, agreeing: &[&Probe]) -> Difference {
    let (from, by) = between(graph, probe.values[0], agreeing);
    let Apart { error, row, column, ours, theirs, first_row } = *found;
    let first_row = first_row.unwrap_or(row);
    Difference { name: probe.name.clone(), error, row, column, ours, theirs, first_row, from, by }
}

/// What a value is computed from that agrees, and the operators between.
fn between(graph: &Graph, value: ValueId, agreeing: &[&Probe]) -> (Vec<String>, Vec<String>) {
    let (mut from, mut by) = (Vec::new(), Vec::new());
    let (mut open, mut seen) = (vec![value], HashSet::from([value]));
    while let Some(value) = open.pop() {
        let node = graph.node(value);
        if let Some(probe) = agreeing.iter().find(|probe| probe.values.contains(&value)) {
            from.push((value, probe.name.clone()));
        } else if is_fixed(node) {
            by.push((value, format!("%{} = {} : {}", value.number(), of_weights(graph, value), node.shape)));
        } else if !matches!(node.op, Op::Input(_)) {
            by.push((value, format!("%{} = {node}", value.number())));
            open.extend(node.inputs.iter().filter(|input| seen.insert(**input)));
        }
    }
    from.sort();
    by.sort();
    (from.into_iter().map(|(_, name)| name).collect(), by.into_iter().map(|(_, line)| line).collect())
}

/// Whether a value depends on no text.
fn is_fixed(node: &Node) -> bool {
    node.shape.dims().iter().all(|dim| matches!(dim, Dim::Fixed(_)))
}

/// A weight, or the weights that a value is computed from while a model loads.
fn of_weights(graph: &Graph, value: ValueId) -> String {
    if let Op::Weight { name } = &graph.node(value).op {
        return format!("weight `{name}`");
    }
    let (mut names, mut open, mut seen) = (BTreeSet::new(), vec![value], HashSet::new());
    while let Some(value) = open.pop() {
        let node = graph.node(value);
        match &node.op {
            Op::Weight { name } => {
                names.insert(format!("`{name}`"));
            }
            _ => open.extend(node.inputs.iter().filter(|input| seen.insert(**input))),
        }
    }
    if names.is_empty() { "constant".to_owned() } else { format!("of {}", Vec::from_iter(names).join(", ")) }
}

fn nothing_in_common(path: &Path, reference: &Reference, probes: &[Probe]) -> Error {
    let some = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<String> = names.take(2).map(|name| format!("`{name}`")).collect();
        names.join(" and ")
    };
    Error::NothingInCommon {
        path: path.to_owned(),
        recorded: reference.tensors().len(),
        theirs: some(&mut reference.tensors().map(|(name, _)| name)),
        ours: some(&mut probes.iter().map(|probe| probe.name.as_str())),
    }
}
