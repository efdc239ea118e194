//! Answers many inputs at once, and gives the answers in order.
//!
//! So many are under way that the model always has full batches to run, whether texts are short or long, and no more, so
//! that memory does not grow with the input. Texts become tokens on threads that are neither the model's nor the one that
//! writes.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::ops::{AddAssign, SubAssign};
use std::task::Poll;
use std::thread;

use futures::executor::ThreadPool;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FusedStream, FuturesOrdered, Stream, StreamExt, poll_fn};
use serde_json::Value;

use crate::input::Item;

/// What an input takes up while it is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Bytes of the texts that the model reads.
    pub(crate) text: usize,
    /// Bytes in all.
    pub(crate) bytes: usize,
}

/// Text under way: a batch takes 1,024 tokens, of about four bytes each, so that three batches wait while one runs.
const TEXT: usize = 16 << 10;

/// Bytes under way, since a record may hold much more than its text.
const BYTES: usize = 16 << 20;

/// Inputs under way, since each has a cost of its own.
const MOST: usize = 1024;

/// Inputs under way however long they are, so that one waits while another is run.
const LEAST: usize = 4;

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.text += other.text;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, other: Self) {
        self.text -= other.text;
        self.bytes -= other.bytes;
    }
}

impl Load {
    /// Of a record, whose fields that `reads` names are its text.
    pub(crate) fn of(item: &Item, reads: impl Fn(&str) -> bool) -> Self {
        let Item::Record(record) = item else { return Self::default() };
        let text = record.fields.iter().filter(|(field, _)| reads(field)).map(|(_, value)| bytes(value)).sum();
        let fields: usize = record.fields.values().map(bytes).sum();
        Self { text, bytes: record.json.as_ref().map_or(fields, String::len) }
    }
}

/// Bytes of the texts in a value.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields.values().map(bytes).sum(),
        _ => size_of::<Value>(),
    }
}

/// Threads that turn texts into tokens, at most: few of them keep up with any model.
const MOST_THREADS: usize = 4;

/// The threads that answers are worked out on, but for what a model does.
pub(crate) struct Threads(ThreadPool);

impl Threads {
    /// Starts them.
    pub(crate) fn new() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        ThreadPool::builder().pool_size(count).name_prefix("tokenize").create().map(Self)
    }

    /// What `work`, done there, comes to.
    pub(crate) fn spawn<O: Send + 'static>(
        &self,
        work: impl Future<Output = O> + Send + 'static,
    ) -> BoxFuture<'static, O> {
        let (work, output) = work.remote_handle();
        self.0.spawn_ok(work);
        output.boxed()
    }
}

/// Answers `inputs` with the futures that `start` makes of them, in their order.
pub(crate) fn answers<I, O>(
    mut inputs: impl FusedStream<Item = I> + Unpin,
    load: impl Fn(&I) -> Load,
    mut start: impl FnMut(I) -> BoxFuture<'static, O>,
) -> impl Stream<Item = O> {
    let mut under_way = FuturesOrdered::new();
    let mut loads: VecDeque<Load> = VecDeque::new();
    let mut sum = Load::default();
    poll_fn(move |context| {
        while loads.len() < LEAST || (sum.text < TEXT && sum.bytes < BYTES && loads.len() < MOST) {
            // Where none is there yet, this is polled again as soon as one is.
            let Poll::Ready(Some(input)) = inputs.poll_next_unpin(context) else { break };
            let load = load(&input);
            sum += load;
            loads.push_back(load);
            under_way.push_back(start(input));
        }
        match under_way.poll_next_unpin(context) {
            Poll::Ready(Some(output)) => {
                sum -= loads.pop_front().unwrap_or_default();
                Poll::Ready(Some(output))
            }
            Poll::Ready(None) if inputs.is_terminated() => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::executor::block_on;
    use futures::stream;

    use super::*;

    /// Runs 5,000 inputs of the same length; how many were under way at most.
    fn most(text: usize, bytes: usize) -> usize {
        let (started, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (starting, highest) = (Arc::clone(&started), Arc::clone(&most));
        let start = move |input: usize| {
            let now = starting.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(now, Ordering::SeqCst);
            async move { input }.boxed()
        };
        let taken = answers(stream::iter(0..5000).fuse(), |_| Load { text, bytes }, start);
        let in_order = taken.enumerate().all(|(at, input)| {
            started.fetch_sub(1, Ordering::SeqCst);
            async move { at == input }
        });
        assert!(block_on(in_order), "answers come in the order of the inputs");
        most.load(Ordering::SeqCst)
    }

    #[test]
    fn as_many_are_under_way_as_fill_batches_and_no_more() {
        assert_eq!(most(20, 60), 820, "20 bytes, 820 times, are 16 KiB");
        assert_eq!(most(2000, 2000), 9);
        assert_eq!(most(1, 1), MOST);
        assert_eq!(most(1 << 20, 1 << 20), LEAST);
        assert_eq!(most(1, 1 << 20), 16);
    }

    #[test]
    fn work_is_done_on_other_threads_and_its_panics_come_back() {
        let threads = Threads::new().expect("threads");
        let here = thread::current().id();
        assert_ne!(block_on(threads.spawn(async { thread::current().id() })), here);
        let panicking = threads.spawn(async { assert_eq!(1, 2, "a defect, on purpose") });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(panicking)));
        assert!(caught.is_err());
    }

    #[test]
    fn an_input_that_never_ends_is_answered_as_it_comes() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let mut taken = answers(receiver, |_| Load::default(), |input: u32| async move { input + 1 }.boxed());
        sender.unbounded_send(1).expect("somebody listens");
        assert_eq!(block_on(taken.next()), Some(2));
        assert_eq!(taken.next().now_or_never(), None, "it waits for more");
        drop(sender);
        assert_eq!(block_on(taken.next()), None);
    }
}
