//! Deadlines: a thread that advances the engine's epoch every [`TICK`] while a plugin runs, and sleeps otherwise.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use wasmtime::Engine;

/// How late a deadline may be noticed, at most.
const TICK: Duration = Duration::from_millis(5);

/// The ticks until `deadline` has passed.
pub(crate) fn ticks(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Clock(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    running: usize,
    closed: bool,
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        // Two plain fields are never half written.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    pub(crate) fn start(engine: &Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, watched) = (engine.clone(), Arc::clone(&shared));
        thread::Builder::new().name("plugin-deadlines".to_owned()).spawn(move || {
            loop {
                let idle = |calls: &mut Calls| calls.running == 0 && !calls.closed;
                let calls = watched.changed.wait_while(watched.calls(), idle).unwrap_or_else(PoisonError::into_inner);
                if calls.closed {
                    return;
                }
                drop(calls);
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Self(shared))
    }

    /// Runs the clock until the result is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.0.calls().running += 1;
        self.0.changed.notify_one();
        Running(&self.0)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.calls().closed = true;
        self.0.changed.notify_one();
    }
}

/// A call in progress.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls().running -= 1;
    }
}
