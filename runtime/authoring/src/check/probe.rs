//! Which values of a graph the original's modules have a name for.

use std::collections::{HashMap, HashSet};

use runtime_graph::{Dim, Element, Graph, Node, Op, Output, ValueId};

use super::reference::Reference;

/// What a module takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Input,
    Output,
}

/// A value with the name that the original has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The module, as its weight in the checkpoint is called, and with `@1` and so on where it is called again.
    pub(crate) name: String,
    /// The value; and where it is then scaled also that, since an embedding may scale what it gives itself.
    pub(crate) values: Vec<ValueId>,
    /// The node of the module, which for its input is a later one.
    pub(crate) node: usize,
}

/// What the modules take and give, in the order of the graph. A module is an operator with a weight; what is between two of
/// them shows in what the second one takes. Where the original's class has other names than the checkpoint, the reference
/// knows them.
pub(crate) fn probes(graph: &Graph, reference: Option<&Reference>) -> Vec<Probe> {
    let mut calls: HashMap<(&str, bool), usize> = HashMap::new();
    let mut parts = HashSet::new();
    let mut probes = Vec::new();
    for (node, module) in (0..graph.nodes.len()).filter_map(|node| Some((node, module(graph, node)?))) {
        let looks_up = graph.nodes[node].op == Op::Rows;
        let input = (!looks_up).then(|| (Side::Input, graph.nodes[node].inputs[0]));
        // The parts of a product that was taken apart take what the whole does, once.
        if module.is_part && !parts.insert((module.name, input)) {
            continue;
        }
        let output = (Side::Output, ValueId::from_number(u32::try_from(node).unwrap_or(u32::MAX)));
        // A reference that does not say which modules share a tensor counts all calls as those of one.
        let apart = looks_up && reference.is_some_and(|reference| reference.knows(module.name));
        let call = calls.entry((module.name, apart)).and_modify(|call| *call += 1).or_default();
        let known = reference.map_or_else(|| vec![module.name], |known| known.modules(module.name, looks_up));
        // Modules that share a weight are called one after the other, and the last of them again.
        let of = (*call).min(known.len() - 1);
        let again = if *call == of { String::new() } else { format!("@{}", *call - of) };
        let output = Some(output).filter(|_| !module.is_part && has_own_bias(graph, node, module.name));
        for (side, value) in input.into_iter().chain(output).filter(|(_, value)| is_computed(graph, *value)) {
            let values = if side == Side::Output {
                [value].into_iter().chain(scaled(graph, value)).collect()
            } else {
                vec![value]
            };
            let side = if side == Side::Input { "input" } else { "output" };
            probes.push(Probe { name: format!("{}.{side}{again}", known[of]), values, node });
        }
    }
    probes
}

/// A module by the name of its weight without `.weight`.
#[derive(Clone, Copy)]
struct Module<'a> {
    name: &'a str,
    /// Whether the weight was taken apart or put together anew before the product.
    is_part: bool,
}

/// The module that a node is.
fn module(graph: &Graph, node: usize) -> Option<Module<'_>> {
    let at = match graph.nodes[node].op {
        Op::Rows => 0,
        Op::Linear | Op::LayerNorm { .. } | Op::RmsNorm { .. } | Op::Convolution { .. } | Op::CausalConvolution => 1,
        _ => return None,
    };
    let mut weight = graph.node(graph.nodes[node].inputs[at]);
    // Some checkpoints have weights of products the other way round.
    while weight.op == Op::Transpose {
        weight = graph.node(weight.inputs[0]);
    }
    if graph.nodes[node].op == Op::Linear && matches!(weight.op, Op::Columns { .. } | Op::Join { .. }) {
        let name = only_weight(graph, weight)?;
        return Some(Module { name: name_of(name)?, is_part: true });
    }
    match &weight.op {
        Op::Weight { name } => Some(Module { name: name_of(name)?, is_part: false }),
        _ => None,
    }
}

/// Whether what a product adds is the module's own, or nothing: the original may add something else behind it.
fn has_own_bias(graph: &Graph, node: usize, module: &str) -> bool {
    match (&graph.nodes[node].op, graph.nodes[node].inputs.get(2).map(|bias| &graph.node(*bias).op)) {
        (Op::Linear, Some(Op::Weight { name })) => name.strip_suffix(".bias") == Some(module),
        _ => true,
    }
}

fn name_of(weight: &str) -> Option<&str> {
    weight.strip_suffix(".weight").or_else(|| weight.strip_suffix(".gamma"))
}

/// The one weight that a node only rearranges.
fn only_weight<'a>(graph: &'a Graph, node: &'a Node) -> Option<&'a str> {
    let (mut open, mut found, mut seen) = (vec![node], None, HashSet::new());
    while let Some(node) = open.pop() {
        match &node.op {
            Op::Weight { name } if found.is_none_or(|found| found == name) => found = Some(name.as_str()),
            Op::Columns { .. } | Op::Join { .. } | Op::Transpose => {
                open.extend(node.inputs.iter().filter(|input| seen.insert(**input)).map(|input| graph.node(*input)));
            }
            _ => return None,
        }
    }
    found
}

/// What is a multiple of a value.
fn scaled(graph: &Graph, value: ValueId) -> impl Iterator<Item = ValueId> {
    let nodes = graph.nodes.iter().zip(0..);
    let is_scaled = move |node: &Node| matches!(node.op, Op::Scale { .. }) && node.inputs == [value];
    nodes.filter(move |(node, _)| is_scaled(node)).map(|(_, number)| ValueId::from_number(number))
}

/// Whether a value is a matrix of numbers with a row for each token, text or row that is asked for.
fn is_computed(graph: &Graph, value: ValueId) -> bool {
    let node = graph.node(value);
    let rows = node.shape.as_matrix().map(|(rows, _)| rows);
    node.element == Element::Real && matches!(rows, Some(Dim::Tokens | Dim::Source | Dim::Sequences | Dim::Rows))
}

/// The graph with these values as results besides its own; the name of a result is the number of its value.
pub(crate) fn with_results(graph: &Graph, values: impl IntoIterator<Item = ValueId>) -> Graph {
    let mut values: Vec<ValueId> = values.into_iter().collect();
    values.sort();
    values.dedup();
    let mut graph = graph.clone();
    graph.outputs.extend(values.into_iter().map(|value| Output { name: result(value), value }));
    graph
}

pub(crate) fn result(value: ValueId) -> String {
    format!("%{}", value.number())
}

#[cfg(test)]
mod tests {
    use runtime_graph::{Builder, Catalog, DType};

    use super::*;

    fn names(graph: &Graph) -> Vec<String> {
        probes(graph, None).into_iter().map(|probe| probe.name).collect()
    }

    #[test]
    fn what_an_operator_does_besides_its_module_is_not_taken_for_that() {
        let tensors = [
            ("words.weight", vec![10, 4]),
            ("a.fused.weight", vec![12, 4]),
            ("a.other.weight", vec![4, 4]),
            ("a.bias", vec![4]),
        ];
        let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
        let (graph, recording) = Builder::native("test", catalog);
        let x = graph.embedding("words").rows(&graph.token_ids());
        let fused = graph.tensor("a.fused.weight").transpose();
        let [q, k, v] = fused.split_each(2).map(|weight| x.linear(&weight.transpose(), None));
        // Of two weights it is neither.
        let both = fused.columns(0, 4).join(&graph.tensor("a.other.weight"), 1).transpose();
        let x = &(&q * &k) * &(&v * &x.linear(&both, None).columns(0, 4));
        // What is added is another module's, which the original does behind this one.
        graph.output("hidden_states", &x.linear(&graph.tensor("a.other.weight"), Some(&graph.tensor("a.bias"))));
        let graph = recording.finish().expect("it is sound");
        assert_eq!(names(&graph), ["words.output", "a.fused.input", "a.other.input"]);
    }
}
