//! The encoder of a model that reads sources, as a graph of its own.

use runtime_graph::{Dim, Graph, Input, Node, Op, Output, Shape, ValueId};

use super::probe::result;

/// Whether a value is computed of the source.
pub(super) fn is_of_source(node: &Node) -> bool {
    matches!(node.shape.dims(), [Dim::Source, ..])
}

/// What computes `values`, all of a source, as if that were the text. A result's name is the number of its value in the whole
/// graph.
pub(super) fn encoder(graph: &Graph, values: &[ValueId]) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    values.iter().for_each(|value| needed[value.index()] = true);
    for index in (0..graph.nodes.len()).rev().filter(|index| needed[*index]).collect::<Vec<_>>() {
        mark(graph, index, &mut needed);
    }
    let mut numbers = vec![None; graph.nodes.len()];
    let mut nodes = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
        numbers[index] = u32::try_from(nodes.len()).ok();
        let inputs = node.inputs.iter().filter_map(|input| numbers[input.index()]).map(ValueId::from_number);
        nodes.push(Node {
            inputs: inputs.collect(),
            op: of_text(&node.op),
            shape: text_shape(&node.shape),
            ..node.clone()
        });
    }
    let output = |value: &ValueId| {
        let number = numbers[value.index()]?;
        Some(Output { name: result(*value), value: ValueId::from_number(number) })
    };
    let outputs = values.iter().filter_map(output).collect();
    Graph { name: graph.name.clone(), nodes, outputs, max_sequence: graph.max_sequence }
}

/// Marks what a node is computed from.
fn mark(graph: &Graph, index: usize, needed: &mut [bool]) {
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        for input in &graph.nodes[index].inputs {
            if !std::mem::replace(&mut needed[input.index()], true) {
                open.push(input.index());
            }
        }
    }
}

fn of_text(op: &Op) -> Op {
    match op {
        Op::Input(Input::SourceIds) => Op::Input(Input::TokenIds),
        Op::Input(Input::SourcePositions { first, padding }) => {
            Op::Input(Input::Positions { first: *first, padding: *padding })
        }
        other => other.clone(),
    }
}

fn text_shape(shape: &Shape) -> Shape {
    let dim = |dim: &Dim| if *dim == Dim::Source { Dim::Tokens } else { *dim };
    Shape::new(shape.dims().iter().map(dim).collect::<Vec<_>>())
}
