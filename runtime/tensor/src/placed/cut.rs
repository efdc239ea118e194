//! Cuts a graph between layers, into graphs that are computed one after the other.
//!
//! What depends on no batch is in every part that needs it, and so are the inputs. Everything else is in one part: a layer
//! in that of its number; what belongs to no layer as early as the layers that it depends on allow, and what depends on
//! none with its first reader. A value that later parts read is a result of its part, and [`Op::Received`] in theirs.

use std::ops::Range;

use runtime_graph::{Dim, Graph, Node, Op, Output, ValueId};

use crate::lower::is_fixed;
use crate::stage::Reading;

/// A part of a graph.
pub(crate) struct Part {
    pub(crate) graph: Graph,
    pub(crate) passings: Passings,
}

/// What it has to do with others.
#[derive(Default)]
pub(crate) struct Passings {
    texts: Passing,
    sources: Passing,
}

/// What a part has to do with others while it reads texts or sources.
#[derive(Default)]
pub(crate) struct Passing {
    /// Whether it computes anything.
    pub(crate) runs: bool,
    /// The values that it takes, by their nodes in the whole graph.
    pub(crate) receives: Vec<usize>,
    /// What its results are.
    pub(crate) gives: Vec<Given>,
    /// Whether others take rows of it that were asked for, which they need whole.
    pub(crate) gives_asked: bool,
}

/// What a result of a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The value of a node of the whole graph, for other parts.
    Value(usize),
    /// An output of the whole graph.
    Output(usize),
}

impl Passings {
    pub(crate) fn of(&self, reading: Reading) -> &Passing {
        match reading {
            Reading::Texts => &self.texts,
            Reading::Sources => &self.sources,
        }
    }

    fn of_node(&mut self, node: &Node) -> &mut Passing {
        if is_of_source(node) { &mut self.sources } else { &mut self.texts }
    }
}

/// How many layers a graph has. They are counted in the order in which they are computed, those of a decoder behind those of
/// its encoder.
pub fn layers(graph: &Graph) -> usize {
    ranks(graph).into_iter().flatten().max().map_or(0, |last| last + 1)
}

/// Cuts a graph into parts with these layers, which are all of them in their order.
pub(crate) fn cut(graph: &Graph, shares: &[Range<usize>]) -> Vec<Part> {
    let parts = parts(graph, shares);
    let cutter = |number| Cutter { graph, parts: &parts, number, last: shares.len() - 1 };
    (0..shares.len()).map(|number| cutter(number).part()).collect()
}

/// Whether a node's value is computed of a batch, and not fed in as it is.
fn is_computed(node: &Node) -> bool {
    !is_fixed(node) && !matches!(node.op, Op::Input(_))
}

fn is_of_source(node: &Node) -> bool {
    matches!(node.shape.dims(), [Dim::Source, ..])
}

/// The number of each node's layer.
fn ranks(graph: &Graph) -> Vec<Option<usize>> {
    let (mut before, mut next) = (None, 0);
    let rank = |node: &Node| {
        let layer = node.layer.filter(|_| is_computed(node))?;
        if before.replace(layer) != Some(layer) {
            next += 1;
        }
        Some(next - 1)
    };
    graph.nodes.iter().map(rank).collect()
}

/// The part of each node; none for those that may be in several.
fn parts(graph: &Graph, shares: &[Range<usize>]) -> Vec<Option<usize>> {
    let mut parts: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (index, rank) in ranks(graph).into_iter().enumerate() {
        let node = &graph.nodes[index];
        parts[index] = match rank {
            Some(rank) => shares.iter().position(|share| share.contains(&rank)),
            None if is_computed(node) => node.inputs.iter().filter_map(|input| parts[input.index()]).max(),
            None => None,
        };
    }
    let is_output = |index: usize| graph.outputs.iter().any(|output| output.value.index() == index);
    let mut first_reader: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for index in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[index];
        if is_computed(node) && parts[index].is_none() {
            let first = if is_output(index) { Some(0) } else { first_reader[index] };
            parts[index] = Some(first.unwrap_or(0));
        }
        for input in &node.inputs {
            let known = &mut first_reader[input.index()];
            *known = [*known, parts[index]].into_iter().flatten().min();
        }
    }
    parts
}

/// Makes one part.
struct Cutter<'a> {
    graph: &'a Graph,
    /// The part of each node.
    parts: &'a [Option<usize>],
    number: usize,
    /// The last part, which has results that depend on no batch.
    last: usize,
}

impl Cutter<'_> {
    fn part(&self) -> Part {
        let Graph { name, max_sequence, .. } = self.graph;
        let mut part = Part {
            graph: Graph { name: name.clone(), nodes: Vec::new(), outputs: Vec::new(), max_sequence: *max_sequence },
            passings: Passings::default(),
        };
        // What is received comes first, so that it has memory of its own from the beginning.
        let needed = self.needed();
        let is_received = |index: &usize| self.parts[*index].is_some_and(|part| part != self.number);
        let all = || (0..needed.len()).filter(|index| needed[*index]);
        let mut places: Vec<Option<ValueId>> = vec![None; needed.len()];
        for index in all().filter(is_received).chain(all().filter(|index| !is_received(index))) {
            let mut node = self.graph.nodes[index].clone();
            if is_received(&index) {
                let receives = &mut part.passings.of_node(&node).receives;
                let op = Op::Received { number: u32::try_from(receives.len()).unwrap_or(u32::MAX) };
                receives.push(index);
                node = Node { op, inputs: Vec::new(), layer: None, ..node };
            } else if self.parts[index].is_some() {
                // Cross-attention keeps what it reads of sources, before it is asked for texts.
                part.passings.sources.runs |= matches!(node.op, Op::CrossAttention(_));
                part.passings.texts.runs |= !is_of_source(&node);
            }
            for input in &mut node.inputs {
                *input = places[input.index()].expect("what a node needs comes before it");
            }
            places[index] = Some(ValueId::from_number(u32::try_from(part.graph.nodes.len()).unwrap_or(u32::MAX)));
            part.graph.nodes.push(node);
        }
        self.give(&mut part, &places);
        part
    }

    /// Whether the part has the value of a node as a result.
    fn has_output(&self, value: ValueId) -> bool {
        self.parts[value.index()].unwrap_or(self.last) == self.number
    }

    /// The nodes that the part has, and those that they need.
    fn needed(&self) -> Vec<bool> {
        let mut needed: Vec<bool> = self.parts.iter().map(|part| *part == Some(self.number)).collect();
        let outputs = self.graph.outputs.iter().filter(|output| self.has_output(output.value));
        outputs.for_each(|output| needed[output.value.index()] = true);
        for index in (0..needed.len()).rev() {
            if needed[index] && self.parts[index].is_none_or(|part| part == self.number) {
                self.graph.nodes[index].inputs.iter().for_each(|input| needed[input.index()] = true);
            }
        }
        needed
    }

    /// Says what the part's results are.
    fn give(&self, part: &mut Part, places: &[Option<ValueId>]) {
        let mut crosses = vec![false; places.len()];
        let later = |index: usize| self.parts[index].is_some_and(|part| part > self.number);
        for (_, node) in self.graph.nodes.iter().enumerate().filter(|(index, _)| later(*index)) {
            node.inputs.iter().for_each(|input| crosses[input.index()] = true);
        }
        let mine = |index: &usize| self.parts[*index] == Some(self.number) && crosses[*index];
        for index in (0..places.len()).filter(mine) {
            let passing = part.passings.of_node(&self.graph.nodes[index]);
            passing.runs = true;
            passing.gives_asked |= matches!(self.graph.nodes[index].shape.dims(), [Dim::Rows, ..]);
            passing.gives.push(Given::Value(index));
            let value = places[index].expect("the part has its own nodes");
            part.graph.outputs.push(Output { name: format!("%{index}"), value });
        }
        for (number, Output { name, value }) in self.graph.outputs.iter().enumerate() {
            if self.has_output(*value) {
                part.passings.texts.runs = true;
                part.passings.texts.gives.push(Given::Output(number));
                let value = places[value.index()].expect("the part has its own results");
                part.graph.outputs.push(Output { name: name.clone(), value });
            }
        }
    }
}
