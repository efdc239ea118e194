//! What must hold of every model, whatever it computes.

use runtime_graph::{Graph, Head, ValueId};
use runtime_tensor::{Matrix, Plan};

use super::probe::probes;
use super::run::{Runner, Text};
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

pub(super) fn check(runner: &Runner<'_>, graph: &Graph, head: Head, text: Text<'_>) -> Result<Properties, Error> {
    let plan = runner.compile(graph)?;
    let whole = last(runner.run(&*plan, &[text])?, head);
    let among = last(runner.run(&*plan, &[text, text.part(2), text.part(usize::MAX)])?, head);
    // A result has rows for the first text first.
    let alone_as_among_others = !whole.data.is_empty() && same_bits(&whole.data, &among.data);
    let whole_as_cut =
        cut(runner, &*plan, head, text)?.map(|found| !whole.data.is_empty() && same_bits(&whole.data, &found));
    Ok(Properties { not_finite: not_finite(runner, graph, text)?, alone_as_among_others, whole_as_cut })
}

/// Whether the second begins with the first.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() <= b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn last(outputs: runtime_tensor::Outputs, head: Head) -> Matrix {
    outputs.into_result(head.output()).unwrap_or_else(|| Matrix { rows: 0, width: 0, data: Vec::new() })
}

/// The result of the text in two runs, where what a token is computed from is kept.
fn cut(runner: &Runner<'_>, plan: &dyn Plan, head: Head, text: Text<'_>) -> Result<Option<Vec<f32>>, Error> {
    if text.tokens.len() < 2 || plan.cache(1).is_err() {
        return Ok(None);
    }
    let mut kept = runner.begin(plan, &[text])?;
    let (before, after) = text.tokens.split_at(text.tokens.len() / 2);
    let mut found = last(runner.go_on(plan, &mut kept, &[before])?, head).data;
    found.extend(last(runner.go_on(plan, &mut kept, &[after])?, head).data);
    Ok(Some(found))
}

fn not_finite(runner: &Runner<'_>, graph: &Graph, text: Text<'_>) -> Result<Option<String>, Error> {
    let probes = probes(graph, None);
    let outputs = graph.outputs.iter().map(|output| (output.name.clone(), output.value));
    let named: Vec<(String, ValueId)> =
        probes.into_iter().map(|probe| (probe.name, probe.values[0])).chain(outputs).collect();
    let found = runner.values(graph, named.iter().map(|(_, value)| *value), text)?;
    let is_finite =
        |value: &ValueId| found.get(value).is_none_or(|matrix| matrix.data.iter().all(|number| number.is_finite()));
    Ok(named.into_iter().find(|(_, value)| !is_finite(value)).map(|(name, _)| name))
}
