//! The thread that runs a model for all requests.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use runtime_tensor::{BLOCK, PlanAdapter};

use super::Gauges;
use super::job::Job;
use super::retained::{Known, Retained};
use super::run::{Machine, Part, Rows, Scores};

use super::score::{ScoreJob, score};
use super::search::Search;
use crate::scheduler::share;
use crate::{Error, ScheduleError};

/// Tokens of prompts in a run. More would not make the products faster, but keep those waiting that are under way.
pub(super) const PROMPT_BUDGET: usize = 512;

/// Tokens of sources that are read at a time.
const SOURCE_BUDGET: usize = 1024;

/// Bytes of scores that a run gives at most, of more than one request.
const SCORE_BYTES: usize = 128 << 20;

/// What a worker is told.
pub(crate) enum Message {
    Generate(Box<Job>),
    Score(ScoreJob),
    /// To forget what is kept of conversations.
    Forget,
}

/// Those that wait, the first in front, each with its number in the order in which all came.
type Queue<T> = VecDeque<(u64, T)>;

pub(super) struct Worker {
    machine: Machine,
    /// Blocks that there can be, and those that requests under way may need.
    limit: usize,
    promised: usize,
    /// Rows of scores of a run of several requests, at most.
    rows: usize,
    /// Requests that came so far, and those of them that are not answered.
    arrived: u64,
    unanswered: usize,
    waiting: Queue<Box<Job>>,
    scoring: Queue<ScoreJob>,
    /// The one that is being scored.
    scored: Option<ScoreJob>,
    active: Vec<Job>,
    retained: Retained,
    gauges: Arc<Gauges>,
}

impl Worker {
    pub(super) fn new(machine: Machine, vocabulary: usize, limit: usize, gauges: Arc<Gauges>) -> Self {
        Self {
            machine,
            limit,
            promised: 0,
            rows: SCORE_BYTES / (vocabulary.max(1) * size_of::<f32>()),
            arrived: 0,
            unanswered: 0,
            waiting: VecDeque::new(),
            scoring: VecDeque::new(),
            scored: None,
            active: Vec::new(),
            retained: Retained::default(),
            gauges,
        }
    }

    pub(super) fn serve(mut self, messages: &Receiver<Message>) {
        let mut panicked = None;
        loop {
            let first = match self.unanswered {
                0 => match messages.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                },
                _ => None,
            };
            first.into_iter().chain(messages.try_iter()).for_each(|message| self.take(message));
            let turn = || {
                if let Some(error) = panicked.take() {
                    self.abandon(&error);
                }
                self.turn();
            };
            // What panics here is no one's alone, and must not end the worker of all.
            panicked = catch_unwind(AssertUnwindSafe(turn)).err().map(|panic| ScheduleError::of_panic(&*panic));
        }
    }

    fn take(&mut self, message: Message) {
        self.arrived += 1;
        self.unanswered += 1;
        match message {
            Message::Generate(job) => self.waiting.push_back((self.arrived, job)),
            Message::Score(job) => self.scoring.push_back((self.arrived, job)),
            Message::Forget => {
                self.unanswered -= 1;
                self.retained.clear();
            }
        }
    }

    fn turn(&mut self) {
        self.dismiss();
        self.score_one();
        self.admit();
        self.read_sources();
        self.step();
        self.dismiss();
        self.make_room(0);
        self.gauges.blocks.store(self.machine.cache.held(), Ordering::Release);
    }

    /// Fails what was under way when something panicked; nobody knows how far it came. Those that wait are not touched.
    fn abandon(&mut self, error: &ScheduleError) {
        if let Some(job) = self.scored.take() {
            drop(job.reply.send(Err(error.clone().into())));
        }
        self.active.iter_mut().for_each(|job| job.fail(error.clone().into()));
        self.answered(self.unanswered - self.waiting.len() - self.scoring.len());
        // Blocks are set free with those that held them.
        self.active.clear();
    }

    fn answered(&mut self, requests: usize) {
        self.unanswered -= requests;
        self.gauges.requests.fetch_sub(requests, Ordering::AcqRel);
    }

    /// Lets go of what is answered, and of those whose callers have gone away.
    fn dismiss(&mut self) {
        self.waiting.retain(|(_, job)| !job.is_over());
        self.scoring.retain(|(_, job)| !job.reply.is_closed());
        self.active.retain(|job| !job.is_over());
        self.promised = self.active.iter().map(|job| job.blocks).sum();
        self.answered(self.unanswered - self.waiting.len() - self.active.len() - self.scoring.len());
    }

    /// Takes the requests at the front of the queue for which there is room.
    fn admit(&mut self) {
        while let Some((number, job)) = self.waiting.front() {
            let needed = job.blocks;
            // Those that came later leave room for the first that waits to be scored.
            let kept = self.scoring.front().filter(|(scoring, _)| scoring < number).map(|(_, job)| job.blocks());
            let kept = kept.filter(|kept| *kept <= self.limit).unwrap_or(0);
            if needed <= self.limit && self.promised + needed + kept > self.limit {
                return;
            }
            let Some((_, mut job)) = self.waiting.pop_front() else { return };
            if needed > self.limit {
                job.fail(self.too_large(needed));
                self.answered(1);
                continue;
            }
            let known = self.retained.take(job.prompt(), job.adapter.as_ref().map(PlanAdapter::number));
            self.promised += needed;
            self.make_room(0);
            job.begin(known);
            self.active.push(*job);
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
        for (place, error) in failed {
            self.active[place].fail(error.into());
        }
    }

    /// Goes one token on with all requests under way: in one run, or in several where there would be too many scores.
    fn step(&mut self) {
        let mut budget = PROMPT_BUDGET;
        let mut rest = self.active.as_mut_slice();
        while !rest.is_empty() {
            let mut rows = 0;
            let fits = |job: &&Job| {
                let first = rows == 0;
                rows += job.rows();
                first || rows <= self.rows
            };
            let count = rest.iter().take_while(fits).count();
            let (some, others) = rest.split_at_mut(count);
            rest = others;
            run(&mut self.machine, some, &mut budget).into_iter().for_each(|known| self.retained.put(known));
        }
    }

    /// Answers the first of those whose continuations are to be scored, where there is room.
    fn score_one(&mut self) {
        let Some((_, job)) = self.scoring.front() else { return };
        let needed = job.blocks();
        if needed <= self.limit && self.promised + needed > self.limit {
            return;
        }
        let Some((_, job)) = self.scoring.pop_front() else { return };
        if needed > self.limit {
            drop(job.reply.send(Err(self.too_large(needed))));
            self.answered(1);
            return;
        }
        let adapter = job.adapter.as_ref().map(PlanAdapter::number);
        let mut cached = self.retained.take(&job.prompt, adapter);
        self.make_room(needed);
        let job = self.scored.insert(job);
        let scored = score(&mut self.machine, &mut cached, job);
        if let Some(job) = self.scored.take() {
            // The next prompt may well begin in the same way.
            self.retained.put(Known { tokens: job.prompt, adapter, cached });
            // A caller that has just gone away does not want to know.
            drop(job.reply.send(scored));
        }
        self.answered(1);
    }
}

/// Runs the model once for some requests, and goes on with their scores; what may be kept of those that are done.
fn run(machine: &mut Machine, jobs: &mut [Job], budget: &mut usize) -> Vec<Known> {
    let (owners, mut parts) = parts(jobs, budget);
    let asked: Vec<(usize, usize, usize)> =
        owners.into_iter().zip(&parts).map(|(owner, part)| (owner, part.tokens.len(), part.wanted.len())).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let start = Instant::now();
    let mut runs: Vec<Result<Scores, ScheduleError>> = match machine.run(&mut parts) {
        // One of them is at fault; the others shall not suffer for it.
        Err(_) if parts.len() > 1 => parts.chunks_mut(1).map(|part| machine.run(part)).collect(),
        all => vec![all],
    };
    let (elapsed, tokens) = (start.elapsed(), asked.iter().map(|(_, length, _)| length).sum());
    let of_each = asked.len() / runs.len();
    let mut outcomes: Vec<Result<Vec<Rows<'_>>, Error>> = jobs.iter().map(|_| Ok(Vec::new())).collect();
    for (asked, scores) in asked.chunks(of_each).zip(&mut runs) {
        let mut rows = scores.as_mut().map(Scores::rows);
        for (owner, length, count) in asked {
            jobs[*owner].time += share(elapsed, *length, tokens);
            match (&mut rows, &mut outcomes[*owner]) {
                (Ok(rows), Ok(all)) if *count > 0 => all.push(rows.take(*count).collect()),
                (Err(error), outcome @ Ok(_)) => *outcome = Err(error.clone().into()),
                // What a failed request has asked for is passed over.
                (Ok(rows), Err(_)) => rows.take(*count).for_each(drop),
                _ => {}
            }
        }
    }
    let mut kept = Vec::new();
    for (job, scores) in jobs.iter_mut().zip(outcomes) {
        match scores {
            Ok(scores) if scores.is_empty() => {}
            Ok(scores) => kept.extend(job.go_on(scores)),
            Err(error) => job.fail(error),
        }
    }
    kept
}

/// The next tokens of some requests and as much of prompts as the budget allows, and whose each is.
fn parts<'a>(jobs: &'a mut [Job], budget: &mut usize) -> (Vec<usize>, Vec<Part<'a>>) {
    let mut parts = Vec::new();
    for (owner, job) in jobs.iter_mut().enumerate() {
        if job.is_over() {
            continue;
        }
        let Search { branches, source, choice, .. } = &mut job.search;
        let source = source.as_ref().map(|source| &source.cached);
        let adapter = job.adapter.as_ref();
        for branch in branches.iter_mut().filter(|branch| branch.is_active()) {
            let (mut tokens, rows) = (branch.pending(), branch.rows());
            let whole = tokens.len();
            if whole > rows {
                tokens.truncate(*budget);
                *budget -= tokens.len();
            }
            if !tokens.is_empty() {
                let wanted = if tokens.len() == whole { choice.wanted(branch) } else { Vec::new() };
                parts.push((owner, Part { cached: &mut branch.cached, source, adapter, tokens, wanted }));
            }
        }
    }
    parts.into_iter().unzip()
}
