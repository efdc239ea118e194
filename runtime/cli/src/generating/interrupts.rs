//! Ctrl-C.
//!
//! While a model answers, the first ends the answer and the second the program; at any other time the first ends the
//! program, as it would without this.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use runtime_diagnostics::{Exit, Problem};

use crate::failure::Failure;

/// Nobody waits for a model.
const IDLE: u8 = 0;
/// A model answers.
const ANSWERING: u8 = 1;
/// It has been told to stop.
const STOPPED: u8 = 2;

/// What the user presses.
pub(crate) struct Interrupts {
    state: Arc<AtomicU8>,
    pressed: UnboundedReceiver<()>,
}

impl Interrupts {
    /// Takes Ctrl-C over, once for each process.
    pub(crate) fn take() -> Result<Self, Failure> {
        let state = Arc::new(AtomicU8::new(IDLE));
        let (sender, pressed) = unbounded();
        let seen = Arc::clone(&state);
        let press = move || match seen.compare_exchange(ANSWERING, STOPPED, Ordering::AcqRel, Ordering::Acquire) {
            // Where nobody listens any more, the program is at its end.
            Ok(_) => drop(sender.unbounded_send(())),
            Err(_) => exit(Exit::Interrupted as i32),
        };
        ctrlc::set_handler(press)
            .map_err(|error| Problem::new(Exit::Internal, format!("cannot take Ctrl-C over: {error}")))?;
        Ok(Self { state, pressed })
    }

    /// From here on a model answers.
    pub(crate) fn begin(&mut self) {
        // What came too late for the answer before.
        while self.pressed.try_recv().is_ok() {}
        self.state.store(ANSWERING, Ordering::Release);
    }

    /// It has answered.
    pub(crate) fn end(&self) {
        self.state.store(IDLE, Ordering::Release);
    }

    /// Waits for the user.
    pub(crate) async fn next(&mut self) {
        if self.pressed.next().await.is_none() {
            // The handler, and with it the sender, stays as long as the process.
            std::future::pending::<()>().await;
        }
    }
}
