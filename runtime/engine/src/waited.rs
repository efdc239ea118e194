//! Threads of workers, which end with the queue that they serve.

use std::thread::{self, JoinHandle};

/// A worker's thread. Dropping it waits for its end, so that nothing of a model, a driver's thread least of all, is at work
/// when the process ends. The worker's queue must be dropped before.
#[derive(Debug)]
pub(crate) struct Waited(Option<JoinHandle<()>>);

impl Waited {
    /// Starts one.
    pub(crate) fn start(work: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(thread::spawn(work)))
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        // The worker itself may hold the model last, by what it was asked.
        if let Some(handle) = self.0.take().filter(|handle| handle.thread().id() != thread::current().id()) {
            // A panic has been told to those who asked.
            let _ended = handle.join();
        }
    }
}
