//! What a graph costs to run, known before it runs.
//!
//! A plugin describes the graph of a model that nobody vouches for. It is bounded while it does so; what it describes
//! runs outside of its sandbox and is bounded here, in relation to the weights, which a user did choose to load.

use std::collections::HashSet;

use runtime_graph::{AttentionOptions, Dim, Graph, Input, Node, Op, Relative, Shape};

use crate::{BLOCK, Error};

/// Multiplications for each row, per number of the weights: one in most models, 24 where layers share their weights.
const WORK_PER_WEIGHT: u64 = 256;

/// Numbers of results that do not depend on the batch, per number of the weights.
const FIXED_PER_WEIGHT: u64 = 4;

/// Numbers that are held at once for each row: 4 MiB, where the largest known feed-forward layer needs 0.4.
const LIVE_PER_ROW: u64 = 1 << 20;

/// Numbers that are kept of each token: 16 MiB, where the largest known model needs 9.
const KEPT_PER_TOKEN: u64 = 1 << 22;

/// Different ways to count positions, to turn by them, and to look distances up; known models have two of each.
const KINDS: u64 = 16;

/// What is allowed in any case, so that tiny models need not be measured.
const FLOOR: u64 = 1 << 20;

/// Refuses a graph that would need far more time or memory than its weights suggest.
pub(crate) fn check(graph: &Graph) -> Result<(), Error> {
    let weights = graph.nodes.iter().filter(|node| is_weight(node)).map(|node| elements(&node.shape));
    let weights = weights.fold(0, u64::saturating_add);
    let computed = || graph.nodes.iter().filter(|node| !is_weight(node));
    let work = computed().map(|node| work(graph, node)).fold(0, u64::saturating_add);
    let fixed = computed().filter(|node| is_fixed(&node.shape)).map(|node| elements(&node.shape));
    let fixed = fixed.fold(0, u64::saturating_add);
    for (what, needs, limit) in [
        ("multiplications for each token", work, weights.saturating_mul(WORK_PER_WEIGHT).max(FLOOR)),
        ("numbers that depend on no token", fixed, weights.saturating_mul(FIXED_PER_WEIGHT).max(FLOOR)),
        ("numbers held at once for each token", live(graph), LIVE_PER_ROW),
        ("numbers kept of each token", kept(graph), KEPT_PER_TOKEN),
        ("kinds of positions and distances", kinds(graph), KINDS),
    ] {
        if needs > limit {
            return Err(Error::TooCostly { what, needs, limit });
        }
    }
    Ok(())
}

fn is_weight(node: &Node) -> bool {
    matches!(node.op, Op::Weight { .. })
}

fn is_fixed(shape: &Shape) -> bool {
    shape.dims().iter().all(|dim| matches!(dim, Dim::Fixed(_)))
}

/// The product of the known sizes: all numbers of a fixed shape, those of one row of another.
fn elements(shape: &Shape) -> u64 {
    let sizes = shape.dims().iter().map(|dim| if let Dim::Fixed(size) = dim { u64::from(*size) } else { 1 });
    sizes.fold(1, u64::saturating_mul)
}

/// Multiplications for one row, or in all where the result is fixed.
fn work(graph: &Graph, node: &Node) -> u64 {
    let inner = match node.op {
        Op::Linear => graph.node(node.inputs[0]).shape.width().map_or(1, u64::from),
        Op::Convolution { .. } => graph.node(node.inputs[1]).shape.dims()[1..].iter().fold(1u64, |inner, dim| {
            inner.saturating_mul(if let Dim::Fixed(size) = dim { u64::from(*size) } else { 1 })
        }),
        Op::CausalConvolution => elements(&graph.node(node.inputs[1]).shape) / elements(&node.shape).max(1),
        // Of each state an exponential, which costs as much as several multiplications.
        Op::SelectiveScan => graph.node(node.inputs[2]).shape.width().map_or(1, u64::from).saturating_mul(16),
        // Three products for each expert that a row is given to.
        Op::Experts(options) => rows(graph.node(node.inputs[2])).saturating_mul(3 * u64::from(options.top_k)),
        // Each query meets each row of the tables of positions.
        Op::Attention(_) => node.inputs[3..].iter().map(|table| rows(graph.node(*table))).sum::<u64>().max(1),
        _ => 1,
    };
    elements(&node.shape).saturating_mul(inner)
}

fn rows(node: &Node) -> u64 {
    node.shape.as_matrix().map_or(1, |(rows, _)| if let Dim::Fixed(rows) = rows { u64::from(rows) } else { 1 })
}

/// The most numbers for one row that are needed at the same time.
fn live(graph: &Graph) -> u64 {
    let mut last_use = vec![0; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        last_use[index] = index;
        node.inputs.iter().for_each(|input| last_use[input.index()] = index);
    }
    graph.outputs.iter().for_each(|output| last_use[output.value.index()] = graph.nodes.len());
    // Columns may be a view of their matrix, which then stays as long as they do.
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if matches!(node.op, Op::Columns { .. } | Op::Rotary(_)) {
            let matrix = node.inputs[0].index();
            last_use[matrix] = last_use[matrix].max(last_use[index]);
        }
    }
    let mut ends = vec![0u64; graph.nodes.len() + 1];
    let (mut now, mut most) = (0u64, 0u64);
    for (index, node) in graph.nodes.iter().enumerate() {
        if !is_weight(node) && !is_fixed(&node.shape) {
            now = now.saturating_add(elements(&node.shape));
            ends[last_use[index]] = ends[last_use[index]].saturating_add(elements(&node.shape));
        }
        most = most.max(now.saturating_add(scratch(graph, node)));
        now = now.saturating_sub(ends[index]);
    }
    most
}

/// Numbers for one row that an operator needs beside its operands and result: a convolution gathers its neighbours and puts
/// what becomes of its groups side by side, experts have a copy of the row and what they make of it.
fn scratch(graph: &Graph, node: &Node) -> u64 {
    match node.op {
        Op::Convolution { .. } => {
            let inner = work(graph, node) / elements(&node.shape).max(1);
            inner.saturating_mul(2).saturating_add(elements(&node.shape))
        }
        Op::Experts(options) => {
            let expert = elements(&node.shape).saturating_add(rows(graph.node(node.inputs[2])));
            expert.saturating_mul(2 * u64::from(options.top_k))
        }
        _ => 0,
    }
}

/// Keys and values of one token, for all attentions that they may be kept for, and its part of the states of a block.
fn kept(graph: &Graph) -> u64 {
    let keeps = |node: &&Node| matches!(node.op, Op::CrossAttention(_)) || attends_to_texts(node);
    let numbers = |node: &Node| {
        let kept = node.inputs[1..3].iter().map(|input| elements(&graph.node(*input).shape));
        kept.fold(0, u64::saturating_add)
    };
    let states = graph.nodes.iter().map(|node| state(graph, node)).fold(0, u64::saturating_add);
    let keys = graph.nodes.iter().filter(keeps).map(numbers).fold(0, u64::saturating_add);
    keys.saturating_add(states.div_ceil(BLOCK as u64))
}

/// Numbers of an operator's state.
fn state(graph: &Graph, node: &Node) -> u64 {
    match node.op {
        Op::CausalConvolution => elements(&graph.node(node.inputs[1]).shape).saturating_sub(elements(&node.shape)),
        Op::SelectiveScan => elements(&graph.node(node.inputs[2]).shape),
        _ => 0,
    }
}

fn attends_to_texts(node: &Node) -> bool {
    matches!((&node.op, node.shape.dims()), (Op::Attention(_), [Dim::Tokens, ..]))
}

/// The tables by position or distance that a plan makes beside the weights.
fn kinds(graph: &Graph) -> u64 {
    let mut kinds = HashSet::new();
    for node in &graph.nodes {
        match &node.op {
            Op::Input(input @ (Input::Positions { .. } | Input::SourcePositions { .. })) => {
                kinds.insert(format!("{input:?}"))
            }
            Op::Rotary(rotary) => kinds.insert(format!("{rotary:?}")),
            Op::Attention(AttentionOptions { relative: Some(relative), causal, heads, .. }) => {
                let bias = (!matches!(relative, Relative::Disentangled { .. })).then_some(&node.inputs[3..]);
                kinds.insert(format!("{relative:?} {causal} {heads} {bias:?}"))
            }
            _ => false,
        };
    }
    kinds.len() as u64
}

#[cfg(test)]
mod tests {
    use runtime_graph::{Activation, Builder, Catalog, CrossAttentionOptions, DType, Rotary};

    use super::*;

    fn graph(describe: impl Fn(&Builder)) -> Graph {
        let tensors = [("words", vec![4000, 512], DType::F32), ("square", vec![512, 512], DType::F32)];
        let (builder, recording) = Builder::native("test", Catalog::new(tensors, ""));
        describe(&builder);
        recording.finish().expect("well formed")
    }

    fn refusal(graph: &Graph) -> Option<&'static str> {
        match check(graph) {
            Err(Error::TooCostly { what, .. }) => Some(what),
            _ => None,
        }
    }

    /// Found by fuzzing.
    #[test]
    fn sizes_beyond_all_files_are_counted() {
        let (builder, recording) = Builder::native(
            "test",
            Catalog::new(["a", "b"].map(|name| (name, vec![u32::MAX, u32::MAX], DType::F32)), ""),
        );
        builder.output("y", &builder.tensor("a").transpose());
        builder.output("z", &builder.tensor("b").transpose());
        assert_eq!(
            refusal(&recording.finish().expect("well formed")),
            None,
            "as much is computed as there is of weights"
        );
    }

    #[test]
    fn deep_models_pass_and_bombs_do_not() {
        let layers = |count: u32| {
            graph(|builder| {
                let square = builder.tensor("square");
                let x = builder.table("words").rows(&builder.token_ids());
                let deep = (0..count).fold(x, |x, _| x.linear(&square, None).activation(Activation::Relu));
                builder.output("y", &deep);
            })
        };
        assert_eq!(refusal(&layers(100)), None);
        assert_eq!(refusal(&layers(3000)), Some("multiplications for each token"));

        let square = graph(|builder| {
            let words = builder.tensor("words");
            builder.output("y", &words.linear(&words, None));
        });
        assert_eq!(refusal(&square), Some("multiplications for each token"));

        let hoard = graph(|builder| {
            let x = builder.table("words").rows(&builder.token_ids());
            let hoard: Vec<_> = (0..3000).map(|_| x.activation(Activation::Relu)).collect();
            let sum = hoard.iter().fold(x, |sum, x| &sum + x);
            builder.output("y", &sum);
        });
        assert_eq!(refusal(&hoard), Some("numbers held at once for each token"));

        let angles = graph(|builder| {
            let x = builder.table("words").rows(&builder.token_ids());
            let turned = (1..100).fold(x, |x, theta| x.rotary(&Rotary::plain(512, 512, f64::from(theta))));
            builder.output("y", &turned);
        });
        assert_eq!(refusal(&angles), Some("kinds of positions and distances"));

        let views = graph(|builder| {
            let x = builder.table("words").rows(&builder.token_ids());
            let kept: Vec<_> = (0..3000).map(|_| x.activation(Activation::Relu).columns(0, 1)).collect();
            let sum = kept.iter().skip(1).fold(kept[0].clone(), |sum, x| &sum + x);
            builder.output("y", &sum);
        });
        assert_eq!(refusal(&views), Some("numbers held at once for each token"));

        let keeps = |layers: u32| {
            graph(|builder| {
                let source = builder.table("words").rows(&builder.source_ids());
                let x = builder.table("words").rows(&builder.token_ids());
                let options = CrossAttentionOptions::new(4);
                let deep = (0..layers).fold(x, |x, _| x.cross_attention(&source, &source, options));
                builder.output("y", &deep);
            })
        };
        assert_eq!(refusal(&keeps(4000)), None);
        assert_eq!(refusal(&keeps(5000)), Some("numbers kept of each token"));

        let states = |scans: u32, convolutions: u32| {
            graph(|builder| {
                let (x, square) = (builder.table("words").rows(&builder.token_ids()), builder.tensor("square"));
                let deep = (0..scans).fold(x, |x, _| x.selective_scan(&x, &square, &x, &x, None));
                let deep = (0..convolutions).fold(deep, |x, _| x.causal_convolution(&square, None));
                builder.output("y", &deep);
            })
        };
        assert_eq!(refusal(&states(100, 400)), None);
        assert_eq!(refusal(&states(0, 600)), Some("numbers kept of each token"));
        assert_eq!(refusal(&states(200, 0)), Some("multiplications for each token"));
    }
}
