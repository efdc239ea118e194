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

#[cfg(test)]
mod tests {
    use runtime_graph::{AttentionOptions, Builder, Catalog, CrossAttentionOptions, DType};

    use super::*;

    #[test]
    fn the_encoder_alone_is_what_the_encoder_of_the_whole_was() {
        let tensors = [("words", vec![10, 4]), ("places", vec![20, 4]), ("out", vec![10, 4])];
        let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
        let (builder, recording) = Builder::native("test", catalog);
        // The decoder's own look-up comes first, so that numbers differ.
        let x = builder.table("words").rows(&builder.token_ids());
        let places = builder.table("places").rows(&builder.source_positions(2));
        let source = &builder.table("words").rows(&builder.source_ids()) + &places;
        let source = source.attention(&source, &source, AttentionOptions::bidirectional(2));
        let x = x.cross_attention(&source, &source, CrossAttentionOptions::new(2)).select_rows();
        builder.output("logits", &x.linear(&builder.tensor("out"), None));
        let graph = recording.finish().expect("it is sound");
        let last = graph.nodes.iter().rposition(is_of_source).expect("there is one");
        let value = ValueId::from_number(u32::try_from(last).expect("few"));

        let text = encoder(&graph, &[value]).to_string();
        for line in ["positions first=2 : [n]", "attention heads=2 ", &format!("output %{last} = ")] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        for other in ["source", "cross", "out`", "[m"] {
            assert!(!text.contains(other), "{other}:\n{text}");
        }
    }
}
