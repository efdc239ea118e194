//! Generation: one worker for each loaded model, which lets the tokens of all requests share its runs.
//!
//! A run holds the next tokens of every request that is under way and, up to a budget, pieces of prompts that are still to
//! be read. A request is admitted when the blocks of the cache that it may need at its longest are free, so that none is
//! stopped midway; it ends by itself, or when its caller goes away. What one asks for never changes what another gets.

mod admission;
mod choice;
mod job;
mod request;
mod retained;
mod rule;
mod run;
mod score;
mod search;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};

use runtime_graph::Head;
use runtime_tensor::{Plan, PlanAdapter};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::waited::Waited;
use crate::{Error, ScheduleError};

use job::Job;
use run::Machine;
use score::ScoreJob;
use worker::{Message, Worker};

pub use request::{Decode, GenerateRequest, Generated, GeneratedSequence, NewToken, Scored};

/// Requests that wait for room, at most; one more is refused.
const LONGEST_QUEUE: usize = 1024;

/// What a worker holds at present.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Requests that were taken and are not answered.
    requests: AtomicUsize,
    /// Blocks of the cache that are held.
    blocks: AtomicUsize,
}

/// The queue of a model that generates. Dropping it ends the worker, once what was asked before is answered.
#[derive(Debug)]
pub struct Generator {
    messages: Sender<Message>,
    gauges: Arc<Gauges>,
    vocabulary: usize,
    max_positions: Option<usize>,
    /// Whether what is kept of a sequence can be shortened anywhere.
    rewinds: bool,
    /// Behind the queue, which it ends with.
    _worker: Waited,
}

/// The tokens of a request, as they come. Dropping it ends the request.
#[derive(Debug)]
pub struct GenerationStream {
    events: UnboundedReceiver<Event>,
}

/// What a worker tells the caller of a request.
#[derive(Debug)]
pub(crate) enum Event {
    Token(NewToken),
    Done(Result<Generated, Error>),
}

impl Generator {
    /// Starts a worker for `plan`, whose `head` gives scores of `vocabulary` tokens, with `cache_bytes` for keys and
    /// values.
    ///
    /// # Errors
    /// Where the plan cannot keep keys and values.
    pub(crate) fn start(
        plan: Arc<dyn Plan>,
        head: Head,
        vocabulary: usize,
        max_positions: Option<usize>,
        cache_bytes: usize,
    ) -> Result<Self, Error> {
        let failed = |error| Error::from(ScheduleError::Plan(Arc::new(error)));
        let block_bytes = plan.cache(1).map_err(failed)?.block_bytes().max(1);
        let blocks = (cache_bytes / block_bytes).max(1);
        let cache = plan.cache(blocks).map_err(failed)?;
        let blocks = cache.blocks();
        let rewinds = plan.rewinds();
        let (messages, receiver) = mpsc::channel();
        let gauges = Arc::new(Gauges::default());
        let worker = Worker::new(Machine { plan, head, cache }, vocabulary, blocks, Arc::clone(&gauges));
        let worker = Waited::start(move || worker.serve(&receiver));
        Ok(Self { messages, gauges, vocabulary, max_positions, rewinds, _worker: worker })
    }

    /// Asks for a generation; its tokens come through the stream.
    ///
    /// # Errors
    /// Where the prompt is longer than the model takes, the parameters do not fit together or the model, or too many
    /// requests wait.
    pub fn generate(&self, mut request: GenerateRequest) -> Result<GenerationStream, Error> {
        if !self.rewinds {
            // Guesses that do not hold could not be forgotten; without any the result is the same.
            request.config.prompt_lookup_num_tokens = None;
        }
        let (sender, events) = unbounded_channel();
        let limit = [request.limit, self.max_positions].into_iter().flatten().min();
        let job = Job::new(request, self.vocabulary, limit, sender)?;
        self.send(Message::Generate(Box::new(job)))?;
        Ok(GenerationStream { events })
    }

    /// For each continuation the logarithm of its probability behind `prompt`, token by token.
    ///
    /// # Errors
    /// As [`Self::generate`], or where the model fails.
    pub async fn score(
        &self,
        prompt: Vec<u32>,
        continuations: Vec<Vec<u32>>,
        adapter: Option<PlanAdapter>,
        limit: Option<usize>,
    ) -> Result<Scored, Error> {
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        request::check_prompt(&prompt, longest, [limit, self.max_positions].into_iter().flatten().min())?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(Message::Score(ScoreJob { prompt, continuations, adapter, reply }))?;
        answer.await.map_err(|_| ScheduleError::Gone)?
    }

    /// Blocks of the cache that are held, by requests and by conversations that may be continued.
    pub fn blocks_held(&self) -> usize {
        self.gauges.blocks.load(Ordering::Acquire)
    }

    /// Requests that are not answered yet.
    pub fn requests(&self) -> usize {
        self.gauges.requests.load(Ordering::Acquire)
    }

    /// Frees what is kept of conversations.
    ///
    /// # Errors
    /// Where the worker is gone.
    pub fn forget(&self) -> Result<(), Error> {
        self.messages.send(Message::Forget).map_err(|_| ScheduleError::Gone.into())
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        let waiting = self.gauges.requests.fetch_add(1, Ordering::AcqRel);
        if waiting >= LONGEST_QUEUE {
            self.gauges.requests.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::Busy { waiting });
        }
        self.messages.send(message).map_err(|_| ScheduleError::Gone.into())
    }
}

impl GenerationStream {
    /// The next token; `None` when there will be no more, and [`Self::finish`] says what has come of it.
    pub async fn next(&mut self) -> Option<Result<NewToken, Result<Generated, Error>>> {
        match self.events.recv().await {
            Some(Event::Token(token)) => Some(Ok(token)),
            Some(Event::Done(result)) => Some(Err(result)),
            None => Some(Err(Err(ScheduleError::Gone.into()))),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Where the model fails, or leaves no token to choose.
    pub async fn finish(mut self) -> Result<Generated, Error> {
        loop {
            match self.events.recv().await {
                Some(Event::Token(_)) => {}
                Some(Event::Done(result)) => return result,
                None => return Err(ScheduleError::Gone.into()),
            }
        }
    }
}
