//! The thread that runs a model for all requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use runtime_tensor::{BLOCK, PlanAdapter};

use super::job::Job;
use super::retained::{Known, Retained};
use super::run::{Machine, Part, Rows};
use super::score::{ScoreJob, held, score};
use super::{Gauges, admission};
use crate::scheduler::share;
use crate::{Error, ScheduleError};

/// Tokens of prompts in a run. More would not make the products faster, but keep those waiting that are under way.
pub(super) const PROMPT_BUDGET: usize = 512;

/// Tokens of sources that are read at a time.
const SOURCE_BUDGET: usize = 1024;

/// What a worker is told.
pub(crate) enum Message {
    Generate(Box<Job>),
    Score(ScoreJob),
    /// To forget what is kept of conversations.
    Forget,
}

pub(super) struct Worker {
    machine: Machine,
    /// Blocks that there can be, and those that requests under way may need.
    limit: usize,
    promised: usize,
    waiting: VecDeque<Job>,
    scoring: VecDeque<ScoreJob>,
    active: Vec<Job>,
    retained: Retained,
    gauges: Arc<Gauges>,
}

impl Worker {
    pub(super) fn new(machine: Machine, limit: usize, gauges: Arc<Gauges>) -> Self {
        Self {
            machine,
            limit,
            promised: 0,
            waiting: VecDeque::new(),
            scoring: VecDeque::new(),
            active: Vec::new(),
            retained: Retained::default(),
            gauges,
        }
    }

    pub(super) fn serve(mut self, messages: &Receiver<Message>) {
        loop {
            let idle = self.waiting.is_empty() && self.scoring.is_empty() && self.active.is_empty();
            let first = match idle {
                true => match messages.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                },
                false => None,
            };
            for message in first.into_iter().chain(messages.try_iter()) {
                match message {
                    Message::Generate(job) => self.waiting.push_back(*job),
                    Message::Score(job) => self.scoring.push_back(job),
                    Message::Forget => self.retained.clear(),
                }
            }
            self.drop_cancelled();
            self.admit();
            self.score_one();
            self.read_sources();
            if !self.active.is_empty() {
                self.step();
            }
            self.gauges.blocks.store(self.machine.cache.held(), Ordering::Release);
        }
    }

    fn answered(&self, requests: usize) {
        self.gauges.requests.fetch_sub(requests, Ordering::AcqRel);
    }

    fn drop_cancelled(&mut self) {
        let before = self.waiting.len() + self.active.len() + self.scoring.len();
        self.waiting.retain(|job| !job.is_cancelled());
        self.scoring.retain(|job| !job.reply.is_closed());
        self.active.retain(|job| !job.is_cancelled());
        self.promised = self.active.iter().map(|job| job.blocks).sum();
        self.answered(before - self.waiting.len() - self.active.len() - self.scoring.len());
    }

    /// Takes the requests at the front of the queue for which there is room.
    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let needed = job.blocks;
            if needed <= self.limit && self.promised + needed > self.limit {
                return;
            }
            let Some(mut job) = self.waiting.pop_front() else { return };
            if needed > self.limit {
                job.fail(self.too_large(needed));
                self.answered(1);
                continue;
            }
            let known = self.retained.take(job.prompt(), job.adapter.as_ref().map(PlanAdapter::number));
            self.promised += needed;
            self.make_room(0);
            job.begin(known);
            self.active.push(job);
        }
    }

    fn too_large(&self, blocks: usize) -> Error {
        Error::CacheTooSmall { needed: blocks * BLOCK, tokens: self.limit * BLOCK }
    }

    /// Forgets conversations until there is room for what is promised and `more` blocks.
    fn make_room(&mut self, more: usize) {
        while self.promised + more + self.retained.blocks() > self.limit && self.retained.forget_one() {}
    }

    /// Reads the sources of requests that were just admitted, as many at a time as the budget allows.
    fn read_sources(&mut self) {
        let mut failed = Vec::new();
        let unread = |job: &mut Job| job.search.source.as_ref().is_some_and(|source| !source.is_read());
        let mut jobs: Vec<(usize, &mut Job)> =
            self.active.iter_mut().enumerate().filter_map(|(place, job)| unread(job).then_some((place, job))).collect();
        let mut rest = jobs.as_mut_slice();
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |(_, job): &&(usize, &mut Job)| {
                let first = tokens == 0;
                tokens += job.search.source.as_ref().map_or(0, |source| source.tokens.len());
                first || tokens <= SOURCE_BUDGET
            };
            let count = rest.iter().take_while(fits).count();
            let (some, others) = rest.split_at_mut(count);
            rest = others;
            let start = Instant::now();
            let read = |machine: &mut Machine, some: &mut [(usize, &mut Job)]| {
                let sources = some.iter_mut().filter_map(|(_, job)| {
                    let Job { search, adapter, .. } = &mut **job;
                    Some((search.source.as_mut()?, adapter.as_ref()))
                });
                machine.read(&mut sources.collect::<Vec<_>>())
            };
            if read(&mut self.machine, some).is_err() {
                // One of them is at fault; the others shall not suffer for it.
                for alone in some.chunks_mut(1) {
                    if let Err(error) = read(&mut self.machine, alone) {
                        failed.extend(alone.iter().map(|(place, _)| *place).zip([error]));
                    }
                }
            }
            for (_, job) in some.iter_mut() {
                let its = job.search.source.as_ref().map_or(0, |source| source.tokens.len());
                job.time += share(start.elapsed(), its, tokens);
            }
        }
        for (place, error) in failed.into_iter().rev() {
            self.active.remove(place).fail(error.into());
            self.answered(1);
        }
        self.promised = self.active.iter().map(|job| job.blocks).sum();
    }

    /// Runs the model once for all requests under way.
    fn step(&mut self) {
        let (owners, mut parts) = parts(&mut self.active);
        let lengths: Vec<usize> = parts.iter().map(|part| part.tokens.len()).collect();
        let asked: Vec<bool> = parts.iter().map(|part| part.rows > 0).collect();
        let start = Instant::now();
        let scores: Vec<Result<Rows, ScheduleError>> = match self.machine.run(&mut parts) {
            Ok(scores) => scores.into_iter().map(Ok).collect(),
            Err(error) if parts.len() == 1 => vec![Err(error)],
            // One of them is at fault; the others shall not suffer for it.
            Err(_) => {
                let alone = parts.chunks_mut(1).map(|part| self.machine.run(part));
                alone.map(|rows| Ok(rows?.pop().unwrap_or_default())).collect()
            }
        };
        let (elapsed, tokens) = (start.elapsed(), lengths.iter().sum());
        let mut outcomes: Vec<Result<Vec<Rows>, Error>> = self.active.iter().map(|_| Ok(Vec::new())).collect();
        for (((owner, length), asked), scores) in owners.into_iter().zip(lengths).zip(asked).zip(scores) {
            self.active[owner].time += share(elapsed, length, tokens);
            match (scores, &mut outcomes[owner]) {
                (Ok(rows), Ok(all)) if asked => all.push(rows),
                (Err(error), outcome @ Ok(_)) => *outcome = Err(error.into()),
                _ => {}
            }
        }
        for (mut job, scores) in std::mem::take(&mut self.active).into_iter().zip(outcomes) {
            let went_on = scores.and_then(|scores| if scores.is_empty() { Ok(()) } else { job.go_on(scores) });
            match went_on {
                Ok(()) if !job.search.is_finished() => self.active.push(job),
                Ok(()) => {
                    if let Some(known) = job.finish() {
                        self.retained.put(known);
                    }
                    self.answered(1);
                }
                Err(error) => {
                    job.fail(error);
                    self.answered(1);
                }
            }
        }
        self.promised = self.active.iter().map(|job| job.blocks).sum();
        self.make_room(0);
    }

    /// Answers the first of those whose continuations are to be scored, where there is room.
    fn score_one(&mut self) {
        let Some(job) = self.scoring.front() else { return };
        let longest = job.continuations.iter().map(Vec::len).max().unwrap_or(0);
        let needed = admission::blocks(job.prompt.len(), longest, held(&job.continuations), 0);
        if needed <= self.limit && self.promised + needed > self.limit {
            return;
        }
        let Some(job) = self.scoring.pop_front() else { return };
        let scored = match needed > self.limit {
            true => Err(self.too_large(needed)),
            false => {
                let adapter = job.adapter.as_ref().map(PlanAdapter::number);
                let mut cached = self.retained.take(&job.prompt, adapter);
                self.make_room(needed);
                let scored = score(&mut self.machine, &mut cached, &job);
                // The next prompt may well begin in the same way.
                self.retained.put(Known { tokens: job.prompt, adapter, cached });
                scored
            }
        };
        // A caller that has just gone away does not want to know.
        drop(job.reply.send(scored));
        self.answered(1);
    }
}

/// The next tokens of everything that is under way and as much of prompts as the budget allows, and whose each is.
fn parts(jobs: &mut [Job]) -> (Vec<usize>, Vec<Part<'_>>) {
    let mut budget = PROMPT_BUDGET;
    let mut parts = Vec::new();
    for (owner, job) in jobs.iter_mut().enumerate() {
        let source = job.search.source.as_ref().map(|source| &source.cached);
        let adapter = job.adapter.as_ref();
        for branch in job.search.branches.iter_mut().filter(|branch| branch.is_active()) {
            let (mut tokens, rows) = (branch.pending(), branch.rows());
            let whole = tokens.len();
            if whole > rows {
                tokens.truncate(budget);
                budget -= tokens.len();
            }
            if !tokens.is_empty() {
                let rows = if tokens.len() == whole { rows } else { 0 };
                parts.push((owner, Part { cached: &mut branch.cached, source, adapter, tokens, rows }));
            }
        }
    }
    parts.into_iter().unzip()
}
