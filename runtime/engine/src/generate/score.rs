//! How likely continuations of a prompt are.

use std::time::Instant;

use runtime_generation::log_softmax;
use runtime_tensor::{Cached, PlanAdapter, Wanted};
use tokio::sync::oneshot;

use super::admission;
use super::request::Scored;
use super::run::{Machine, Part, Scores};
use super::worker::PROMPT_BUDGET;
use crate::{Error, ScheduleError};

/// Continuations whose probability is asked for.
pub(crate) struct ScoreJob {
    pub(super) prompt: Vec<u32>,
    pub(super) continuations: Vec<Vec<u32>>,
    pub(super) adapter: Option<PlanAdapter>,
    pub(super) reply: oneshot::Sender<Result<Scored, Error>>,
}

/// Tokens of continuations that are read in one run; each has a row of scores as wide as the vocabulary.
const TOGETHER: usize = 64;

impl ScoreJob {
    /// Blocks that it may need.
    pub(super) fn blocks(&self) -> usize {
        let longest = self.continuations.iter().map(Vec::len).max().unwrap_or(0);
        // Those of one run have a token each at least.
        let held = self.continuations.len().clamp(1, TOGETHER);
        admission::blocks(self.prompt.len(), longest, held, 0)
    }
}

/// Runs the model on the prompt, of which `cached` is known, and then on the continuations, some at a time.
pub(super) fn score(machine: &mut Machine, cached: &mut Cached, job: &ScoreJob) -> Result<Scored, Error> {
    let ScoreJob { prompt, continuations, adapter, .. } = job;
    let (adapter, start) = (adapter.as_ref(), Instant::now());
    let mut first = Vec::new();
    while cached.tokens() < prompt.len() {
        let end = prompt.len().min(cached.tokens() + PROMPT_BUDGET);
        let tokens = prompt[cached.tokens()..end].to_vec();
        let wanted = if end == prompt.len() { vec![Wanted::Row] } else { Vec::new() };
        let mut scores = machine.run(&mut [Part { cached, source: None, adapter, tokens, wanted }])?;
        first = scores.whole().next().map(|row| row.to_vec()).unwrap_or_default();
    }
    if first.is_empty() {
        return Err(ScheduleError::Gone.into());
    }
    let mut log_probs = Vec::with_capacity(continuations.len());
    let mut left = continuations.as_slice();
    while !left.is_empty() {
        let (group, rest) = left.split_at(together(left));
        left = rest;
        log_probs.extend(score_group(machine, cached, adapter, &first, group)?);
    }
    Ok(Scored { log_probs, time: start.elapsed() })
}

/// How many of the first continuations are read in one run.
fn together(continuations: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fit = continuations.iter().take_while(|continuation| {
        tokens += continuation.len().max(1);
        tokens <= TOGETHER
    });
    fit.count().max(1)
}

/// The logarithms of probabilities of continuations behind the prompt, whose next token has the scores `first`.
fn score_group(
    machine: &mut Machine,
    cached: &Cached,
    adapter: Option<&PlanAdapter>,
    first: &[f32],
    continuations: &[Vec<u32>],
) -> Result<Vec<Vec<f32>>, Error> {
    // The last token of a continuation need not be read.
    let mut forks: Vec<Cached> = continuations.iter().map(|_| cached.clone()).collect();
    let longer = forks.iter_mut().zip(continuations).filter(|(_, tokens)| tokens.len() > 1);
    let mut parts: Vec<Part<'_>> = longer
        .map(|(cached, tokens)| {
            let read = tokens[..tokens.len() - 1].to_vec();
            Part { cached, source: None, adapter, wanted: vec![Wanted::Row; read.len()], tokens: read }
        })
        .collect();
    let mut scores = if parts.is_empty() { None } else { Some(machine.run(&mut parts)?) };
    let mut rest = scores.iter_mut().flat_map(Scores::whole);
    let log_probs = continuations.iter().map(|tokens| {
        let Some((begin, others)) = tokens.split_first() else { return Vec::new() };
        let begin = log_prob(&mut first.to_vec(), *begin);
        std::iter::once(begin).chain(others.iter().zip(&mut rest).map(|(token, row)| log_prob(row, *token))).collect()
    });
    Ok(log_probs.collect())
}

fn log_prob(scores: &mut [f32], token: u32) -> f32 {
    log_softmax(scores);
    scores.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY)
}
