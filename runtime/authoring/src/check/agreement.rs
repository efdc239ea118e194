//! The activations of a graph beside those of its original.

use std::collections::HashSet;
use std::path::Path;

use runtime_graph::{Graph, Op, ValueId};

use super::compare::{Apart, apart};
use super::probe::{Probe, result, with_results};
use super::reference::Reference;
use super::{Runner, probes};
use crate::Error;

/// What the names begin with that the recorder has for what the model itself returns.
const RESULT: &str = "result.";

/// How a graph compares with its original.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Each layer, and what is before, between and behind them, up to the first difference.
    pub layers: Vec<Layer>,
    /// Where they first differ.
    pub first: Option<Difference>,
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
    /// The activations that it is computed from, and that agree.
    pub from: Vec<String>,
    /// The operators in between, as `runtime model graph` prints them.
    pub by: Vec<String>,
}

pub(super) fn compare(
    runner: &Runner<'_>,
    graph: &Graph,
    path: &Path,
    reference: &Reference,
    tolerance: f64,
) -> Result<Agreement, Error> {
    let probes: Vec<Probe> = probes(graph).into_iter().chain(results(graph)).collect();
    let probed = with_results(graph, probes.iter().flat_map(|probe| probe.values.iter().copied()));
    let outputs = runner.run(&*runner.compile(&probed)?, &[&reference.tokens])?;
    let mut agreement = Agreement {
        layers: Vec::new(),
        first: None,
        not_recorded: Vec::new(),
        unlike: Vec::new(),
        not_in_graph: Vec::new(),
    };
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
        let ours = probe.values.iter().filter_map(|value| outputs.get(&result(*value)));
        match ours.filter_map(|ours| apart(ours, recorded)).min_by(|a, b| a.error.total_cmp(&b.error)) {
            None => {
                let shape = &graph.node(probe.values[0]).shape;
                agreement.unlike.push(format!("{}: {shape} here, {:?} recorded", probe.name, recorded.shape));
            }
            Some(found) if found.error <= tolerance => {
                agreement.count(graph.nodes[probe.node].layer, &probe.name, found.error);
                agreeing.push(probe);
            }
            Some(found) => agreement.first = Some(difference(graph, probe, &found, &agreeing)),
        }
    }
    if known.iter().all(|name| name.starts_with(RESULT)) {
        return Err(nothing_in_common(path, reference, &probes));
    }
    let unknown = reference.tensors().map(|(name, _)| name).filter(|name| !known.contains(name));
    agreement.not_in_graph = unknown.map(str::to_owned).collect();
    Ok(agreement)
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
}

fn difference(graph: &Graph, probe: &Probe, found: &Apart, agreeing: &[&Probe]) -> Difference {
    let (from, by) = between(graph, probe.values[0], agreeing);
    let Apart { error, row, column, ours, theirs } = *found;
    Difference { name: probe.name.clone(), error, row, column, ours, theirs, from, by }
}

/// What a value is computed from that agrees, and the operators between.
fn between(graph: &Graph, value: ValueId, agreeing: &[&Probe]) -> (Vec<String>, Vec<String>) {
    let (mut from, mut by) = (Vec::new(), Vec::new());
    let (mut open, mut seen) = (vec![value], HashSet::from([value]));
    while let Some(value) = open.pop() {
        let node = graph.node(value);
        if let Some(probe) = agreeing.iter().find(|probe| probe.values.contains(&value)) {
            from.push((value, probe.name.clone()));
        } else if !matches!(node.op, Op::Weight { .. } | Op::Input(_)) {
            by.push((value, format!("%{} = {node}", value.number())));
            open.extend(node.inputs.iter().filter(|input| seen.insert(**input)));
        }
    }
    from.sort();
    by.sort();
    (from.into_iter().map(|(_, name)| name).collect(), by.into_iter().map(|(_, line)| line).collect())
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
