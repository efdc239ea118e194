//! A request that a worker has taken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use runtime_generation::Lengths;
use runtime_tensor::{BLOCK, Cached, PlanAdapter};
use tokio::sync::mpsc::UnboundedSender;

use super::request::{GenerateRequest, Generated, GeneratedSequence, check_prompt};
use super::retained::Known;
use super::run::Rows;
use super::search::{Branch, Search};
use super::{Event, admission};
use crate::{Error, ScheduleError};

/// A request with all that it holds.
pub(crate) struct Job {
    pub(super) search: Search,
    /// Blocks that it may need.
    pub(super) blocks: usize,
    pub(super) time: Duration,
    cached_tokens: usize,
    prompt_tokens: usize,
    keep: bool,
    pub(super) adapter: Option<PlanAdapter>,
    arrived: Instant,
    first_token: Option<Duration>,
    deadline: Option<Instant>,
    is_answered: bool,
    events: UnboundedSender<Event>,
}

impl Job {
    /// # Errors
    /// Where the prompt leaves no room, or the parameters do not fit the model.
    pub(super) fn new(
        request: GenerateRequest,
        vocabulary: usize,
        max_positions: Option<usize>,
        events: UnboundedSender<Event>,
    ) -> Result<Self, Error> {
        check_prompt(&request.prompt, 1, max_positions)?;
        let (prompt_tokens, padding, config) = (request.prompt.len(), request.padding, &request.config);
        let mut lengths = Lengths::new(config, prompt_tokens + padding, max_positions.map(|limit| limit + padding))?;
        if let Some(limit) = max_positions {
            lengths.max_length = lengths.max_length.min(limit + padding);
        }
        let new = lengths.max_length - padding - prompt_tokens;
        let sequences = config.num_beams.max(config.num_return_sequences);
        let source = request.source.as_ref().map_or(0, |source| source.len().div_ceil(BLOCK));
        let ahead = config.prompt_lookup_num_tokens.unwrap_or(0);
        let blocks = source + admission::blocks(prompt_tokens, new, sequences, ahead);
        let arrived = Instant::now();
        let deadline = config.max_time.and_then(|time| Duration::try_from_secs_f64(time).ok());
        Ok(Self {
            blocks,
            time: Duration::ZERO,
            cached_tokens: 0,
            prompt_tokens: request.source.as_ref().map_or(prompt_tokens, Vec::len),
            keep: request.keep,
            adapter: request.adapter.clone(),
            arrived,
            first_token: None,
            deadline: deadline.and_then(|time| arrived.checked_add(time)),
            is_answered: false,
            events,
            search: Search::new(request, lengths, vocabulary)?,
        })
    }

    /// Whether nobody waits for it any more: it is answered, or its caller has gone away.
    pub(super) fn is_over(&self) -> bool {
        self.is_answered || self.events.is_closed()
    }

    /// Rows of scores that a run gives for it, at most.
    pub(super) fn rows(&self) -> usize {
        let active = self.search.branches.iter().filter(|branch| branch.is_active());
        active.map(Branch::rows).sum()
    }

    /// The prompt.
    pub(super) fn prompt(&self) -> &[u32] {
        &self.search.branches[0].tokens
    }

    /// Begins with what is known of its prompt.
    pub(super) fn begin(&mut self, known: Cached) {
        self.cached_tokens = known.tokens();
        self.search.branches[0].cached = known;
    }

    /// Goes on by the scores of a run. Where that is the end, answers, and gives what may be kept.
    pub(super) fn go_on(&mut self, scores: Vec<Rows<'_>>) -> Option<Known> {
        self.first_token.get_or_insert_with(|| self.arrived.elapsed());
        let (search, events) = (&mut self.search, &self.events);
        // A caller that has just gone away does not want to know.
        let tell = |token| drop(events.send(Event::Token(token)));
        let go_on = || {
            search.go_on(scores, tell)?;
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                search.stop();
            }
            Ok(search.is_finished().then(|| search.sequences()))
        };
        match catch_unwind(AssertUnwindSafe(go_on)).unwrap_or_else(|panic| Err(ScheduleError::of_panic(&*panic).into()))
        {
            Ok(None) => None,
            Ok(Some((sequences, kept))) => {
                self.answer(sequences);
                let adapter = self.adapter.as_ref().map(PlanAdapter::number);
                kept.filter(|_| self.keep).map(|(tokens, cached)| Known { tokens, adapter, cached })
            }
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn answer(&mut self, sequences: Vec<GeneratedSequence>) {
        let done = Generated {
            sequences,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            guessed_tokens: self.search.guessed,
            time: self.time,
            first_token: self.first_token.unwrap_or_default(),
        };
        self.end(Ok(done));
    }

    /// Says why there is no answer, unless there has been one.
    pub(super) fn fail(&mut self, error: Error) {
        self.end(Err(error));
    }

    fn end(&mut self, result: Result<Generated, Error>) {
        if !self.is_answered {
            self.is_answered = true;
            drop(self.events.send(Event::Done(result)));
        }
    }
}
