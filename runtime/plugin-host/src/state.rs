//! What the host keeps for one call of a plugin.

use runtime_graph::Recording;

use crate::Limits;
use crate::limits::Limiter;
use crate::wasi::Stderr;

/// The data of a store: a fresh one for each call, dropped with all that the guest holds when the call is over.
pub(crate) struct State {
    pub(crate) recording: Recording,
    pub(crate) outputs: usize,
    pub(crate) limiter: Limiter,
    pub(crate) stderr: Stderr,
}

impl State {
    pub(crate) fn new(recording: Recording, limits: &Limits) -> Self {
        Self { recording, outputs: 0, limiter: Limiter::new(limits), stderr: Stderr::default() }
    }
}
