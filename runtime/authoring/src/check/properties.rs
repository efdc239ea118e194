//! What must hold of every model, whatever it computes.

use runtime_graph::{Graph, Head};
use runtime_tensor::{Batch, Cached, Matrix, Plan};

use super::probe::{result, with_results};
use super::{Runner, ask_all, probes};
use crate::Error;

/// What must hold of every model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The first activation that holds an infinity or no number, if any does.
    pub not_finite: Option<String>,
    /// Whether a text has the same result, bit for bit, alone and among others.
    pub alone_as_among_others: bool,
    /// Whether it has the same however it is cut into runs; `None` for a model in which tokens see those behind them,
    /// and for a text of one token.
    pub whole_as_cut: Option<bool>,
}

impl Properties {
    /// Whether they all hold.
    pub fn hold(&self) -> bool {
        self.not_finite.is_none() && self.alone_as_among_others && self.whole_as_cut != Some(false)
    }
}

pub(super) fn check(runner: &Runner<'_>, graph: &Graph, head: Head, tokens: &[u32]) -> Result<Properties, Error> {
    let plan = runner.compile(graph)?;
    let whole = last(runner.run(&*plan, &[tokens])?, head);
    let among = last(runner.run(&*plan, &[tokens, &tokens[..tokens.len().div_ceil(2)], &tokens[..1]])?, head);
    // A result has rows for the first text first.
    let alone_as_among_others = !whole.data.is_empty() && same_bits(&whole.data, &among.data);
    let whole_as_cut = cut(runner, &*plan, head, tokens)?.map(|found| same_bits(&whole.data, &found));
    Ok(Properties { not_finite: not_finite(runner, graph, tokens)?, alone_as_among_others, whole_as_cut })
}

/// Whether the second begins with the first.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() <= b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn last(outputs: runtime_tensor::Outputs, head: Head) -> Matrix {
    outputs.into_result(head.output()).unwrap_or_else(|| Matrix { rows: 0, width: 0, data: Vec::new() })
}

/// The result of the text in two runs, where what a token is computed from is kept.
fn cut(runner: &Runner<'_>, plan: &dyn Plan, head: Head, tokens: &[u32]) -> Result<Option<Vec<f32>>, Error> {
    if tokens.len() < 2 {
        return Ok(None);
    }
    // Room for the text in blocks of any size.
    let Ok(mut cache) = plan.cache(tokens.len() + 1) else { return Ok(None) };
    let (mut cached, mut found) = (Cached::new(), Vec::new());
    let (before, after) = tokens.split_at(tokens.len() / 2);
    for part in [before, after].into_iter().filter(|part| !part.is_empty()) {
        if cache.reserve(&mut cached, part.len()).is_err() {
            return Ok(None);
        }
        let mut batch = Batch::new();
        batch.push_after(&cached, part);
        ask_all(&mut batch);
        let outputs = plan.run_after(&batch, &mut cache).map_err(|source| runner.failed(source))?;
        found.extend(last(outputs, head).data);
        cached.advance(part.len());
    }
    Ok(Some(found))
}

fn not_finite(runner: &Runner<'_>, graph: &Graph, tokens: &[u32]) -> Result<Option<String>, Error> {
    let probes = probes(graph);
    let probed = with_results(graph, probes.iter().map(|probe| probe.values[0]));
    let outputs = runner.run(&*runner.compile(&probed)?, &[tokens])?;
    let is_finite =
        |name: &str| outputs.get(name).is_none_or(|matrix| matrix.data.iter().all(|number| number.is_finite()));
    let named = probes.into_iter().map(|probe| (probe.name, result(probe.values[0])));
    let named = named.chain(graph.outputs.iter().map(|output| (output.name.clone(), output.name.clone())));
    Ok(named.filter(|(_, result)| !is_finite(result)).map(|(name, _)| name).next())
}
