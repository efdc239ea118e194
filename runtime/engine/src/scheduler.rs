//! One worker for each loaded model, which batches what all callers ask of it.
//!
//! Requests wait in order of arrival. A batch takes sequences from the front until the token budget is reached, across
//! requests and in the middle of one; since batches are packed, texts of any lengths share one without waste. A
//! request whose caller has gone away is dropped. A sequence that makes its batch fail fails its own request only.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use runtime_diagnostics::panic_message;
use runtime_graph::{Dim, Head};
use runtime_models::Sequence;
use runtime_tensor::{Batch, Matrix, Plan};
use tokio::sync::oneshot;

use crate::memo::Memo;
use crate::waited::Waited;

/// Tokens in a batch. More would not make the matrix products faster on a processor, but keep the first answers of a
/// batch waiting for the last, and hold more memory.
pub(crate) const TOKEN_BUDGET: usize = 1024;

/// Why a request was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The plan failed.
    #[error("the model cannot compute this")]
    Plan(#[source] Arc<runtime_tensor::Error>),
    /// The plan panicked.
    #[error("the model failed with an internal error: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The plan did not compute what it is asked for.
    #[error("the model has no output `{output}`")]
    NoOutput {
        /// The output.
        output: &'static str,
    },
    /// There is no room for keys and values.
    #[error(transparent)]
    Cache(#[from] runtime_tensor::CacheFull),
    /// The worker is gone.
    #[error("the model has been shut down")]
    Gone,
}

impl ScheduleError {
    /// Of what a panic said.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        Self::Panicked { message: panic_message(panic) }
    }
}

/// The queue of a model. Dropping it ends the worker, once what was asked before is answered.
#[derive(Debug)]
pub(crate) struct Scheduler {
    requests: Sender<Request>,
    memo: Arc<Memo>,
    /// Behind the queue, which it ends with.
    _worker: Waited,
}

/// A model's answers to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// For each sequence, in order: one row, one for each of its tokens, or one for each row that it asked for.
    pub(crate) rows: Vec<Matrix>,
    /// The request's share of the time that its batches took, by tokens.
    pub(crate) time: Duration,
}

#[derive(Debug)]
struct Request {
    sequences: Vec<Sequence>,
    /// One for each sequence that has been computed, in order.
    results: Vec<Result<Matrix, ScheduleError>>,
    time: Duration,
    reply: oneshot::Sender<Result<Answers, ScheduleError>>,
}

impl Scheduler {
    /// Starts a worker that runs `plan` on batches of about `token_budget` tokens, for the output of `head`.
    pub(crate) fn start(plan: Arc<dyn Plan>, head: Head, token_budget: usize, memo: Memo) -> Self {
        let (requests, receiver) = mpsc::channel();
        let memo = Arc::new(memo);
        let worker = Worker { plan, head, token_budget, memo: Arc::clone(&memo), waiting: VecDeque::new() };
        let worker = Waited::start(move || worker.serve(&receiver));
        Self { requests, memo, _worker: worker }
    }

    /// The model's output for each sequence; what was computed before takes no time.
    pub(crate) async fn run(&self, sequences: Vec<Sequence>) -> Result<Answers, ScheduleError> {
        let known: Vec<Option<Matrix>> = sequences.iter().map(|sequence| self.memo.get(sequence)).collect();
        let missing = sequences.into_iter().zip(&known).filter(|(_, known)| known.is_none());
        let missing: Vec<Sequence> = missing.map(|(sequence, _)| sequence).collect();
        let Answers { rows, time } = if missing.is_empty() { Answers::default() } else { self.ask(missing).await? };
        let mut computed = rows.into_iter();
        let rows = known.into_iter().map(|known| known.or_else(|| computed.next()).ok_or(ScheduleError::Gone));
        Ok(Answers { rows: rows.collect::<Result<_, _>>()?, time })
    }

    async fn ask(&self, sequences: Vec<Sequence>) -> Result<Answers, ScheduleError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { sequences, results: Vec::new(), time: Duration::ZERO, reply };
        self.requests.send(request).map_err(|_| ScheduleError::Gone)?;
        answer.await.map_err(|_| ScheduleError::Gone)?
    }
}

struct Worker {
    plan: Arc<dyn Plan>,
    head: Head,
    token_budget: usize,
    memo: Arc<Memo>,
    waiting: VecDeque<Request>,
}

impl Worker {
    fn serve(mut self, requests: &Receiver<Request>) {
        while let Some(request) = self.next(requests) {
            self.waiting.extend(request);
            self.waiting.extend(requests.try_iter());
            self.waiting.retain(|request| !request.reply.is_closed());
            if !self.waiting.is_empty() {
                self.step();
            }
        }
    }

    /// Waits for a request only where none is waiting; `None` when there will be no more.
    fn next(&self, requests: &Receiver<Request>) -> Option<Option<Request>> {
        if self.waiting.is_empty() { requests.recv().ok().map(Some) } else { Some(None) }
    }

    /// Runs one batch and answers the requests that it completes.
    fn step(&mut self) {
        let batch = self.form();
        let tokens: usize = batch.iter().map(|sequence| sequence.token_ids.len()).sum();
        let start = Instant::now();
        let results: Vec<_> = match self.run(&batch) {
            Ok(results) => results.into_iter().map(Ok).collect(),
            Err(error) if batch.len() == 1 => vec![Err(error)],
            // One of them is at fault; the others shall not suffer for it.
            Err(_) => batch.iter().map(|sequence| self.run(&[sequence])?.pop().ok_or(ScheduleError::Gone)).collect(),
        };
        let elapsed = start.elapsed();
        let mut results = results.into_iter();
        for request in &mut self.waiting {
            let from = request.results.len();
            request.results.extend(results.by_ref().take(request.sequences.len() - from));
            let computed = &request.sequences[from..request.results.len()];
            let its_tokens = computed.iter().map(|sequence| sequence.token_ids.len()).sum();
            request.time += share(elapsed, its_tokens, tokens);
        }
        while self.waiting.front().is_some_and(|request| request.results.len() == request.sequences.len()) {
            self.waiting.pop_front().into_iter().for_each(|request| self.answer(request));
        }
    }

    fn answer(&self, request: Request) {
        for (sequence, result) in request.sequences.iter().zip(&request.results) {
            if let Ok(result) = result {
                self.memo.put(sequence, result);
            }
        }
        // A caller that has just gone away does not want to know.
        let rows: Result<Vec<Matrix>, ScheduleError> = request.results.into_iter().collect();
        let _gone = request.reply.send(rows.map(|rows| Answers { rows, time: request.time }));
    }

    /// The sequences at the front of the queue, at least one, while they are within the budget.
    fn form(&self) -> Vec<&Sequence> {
        let mut tokens = 0;
        let pending = self.waiting.iter().flat_map(|request| &request.sequences[request.results.len()..]);
        let within = pending.take_while(|sequence| {
            let first = tokens == 0;
            tokens += sequence.token_ids.len();
            first || tokens <= self.token_budget
        });
        within.collect()
    }

    fn run(&self, sequences: &[&Sequence]) -> Result<Vec<Matrix>, ScheduleError> {
        let mut batch = Batch::new();
        for sequence in sequences {
            let first = u32::try_from(batch.tokens()).unwrap_or(u32::MAX);
            batch.push(&sequence.token_ids, &sequence.token_types);
            sequence.rows.iter().for_each(|row| batch.ask_row(first.saturating_add(*row)));
        }
        let outputs = catch_unwind(AssertUnwindSafe(|| self.plan.run(&batch)));
        let outputs = outputs.map_err(|panic| ScheduleError::of_panic(&*panic))?;
        let outputs = outputs.map_err(|error| ScheduleError::Plan(Arc::new(error)))?;
        let name = self.head.output();
        let output = outputs.get(name).ok_or(ScheduleError::NoOutput { output: name })?;
        let mut from = 0;
        let rows = sequences.iter().map(|sequence| {
            let rows = match self.head.rows() {
                Dim::Tokens => sequence.token_ids.len(),
                Dim::Rows => sequence.rows.len(),
                Dim::Sequences | Dim::Source | Dim::Fixed(_) => 1,
            };
            let data = output.data[from * output.width..(from + rows) * output.width].to_vec();
            from += rows;
            Matrix { rows, width: output.width, data }
        });
        Ok(rows.collect())
    }
}

/// `part` of `whole` of a time.
pub(crate) fn share(time: Duration, part: usize, whole: usize) -> Duration {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    time * count(part) / count(whole.max(1))
}

#[cfg(test)]
mod tests;
