//! What the host keeps for a plugin while it runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_graph::Recording;

use crate::Limits;
use crate::error::Cause;
use crate::limits::Limiter;
use crate::wasi::Stderr;

/// What every plugin is bounded by, and what it said last.
pub(crate) struct Bounds {
    pub(crate) limiter: Limiter,
    pub(crate) stderr: Stderr,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limiter: Limiter::new(limits), stderr: Stderr::default() }
    }
}

/// The data of a store.
pub(crate) trait Guest: 'static {
    fn bounds(&mut self) -> &mut Bounds;
}

/// For an architecture: a fresh one for each call, dropped with all that the guest holds when the call is over.
pub(crate) struct Building {
    pub(crate) recording: Recording,
    pub(crate) outputs: usize,
    pub(crate) bounds: Bounds,
}

impl Building {
    pub(crate) fn new(recording: Recording, limits: &Limits) -> Self {
        Self { recording, outputs: 0, bounds: Bounds::new(limits) }
    }
}

impl Guest for Building {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}

/// For a plugin that is called again and again, with what its world alone keeps.
pub(crate) struct Serving<H: ?Sized, O> {
    /// What it may call; nothing while it describes itself.
    pub(crate) host: Option<Arc<H>>,
    pub(crate) bounds: Bounds,
    pub(crate) meter: Meter,
    pub(crate) own: O,
}

impl<H: ?Sized, O> Serving<H, O> {
    pub(crate) fn new(limits: &Limits, own: O) -> Self {
        Self { host: None, bounds: Bounds::new(limits), meter: Meter::new(limits.deadline), own }
    }

    pub(crate) fn host(&self) -> Result<Arc<H>, Cause> {
        let early = || Cause::Rule("it called the host while it described itself".to_owned());
        self.host.clone().ok_or_else(early)
    }
}

impl<H: ?Sized + 'static, O: 'static> Guest for Serving<H, O> {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}

/// The time that a plugin itself computes in a call; what it waits for the host does not count.
pub(crate) struct Meter {
    started: Instant,
    waited: Duration,
    limit: Duration,
}

impl Meter {
    fn new(limit: Duration) -> Self {
        Self { started: Instant::now(), waited: Duration::ZERO, limit }
    }

    /// A call begins.
    pub(crate) fn start(&mut self) {
        (self.started, self.waited) = (Instant::now(), Duration::ZERO);
    }

    /// The host has worked for it since then.
    pub(crate) fn waited(&mut self, since: Instant) {
        self.waited += since.elapsed();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.started.elapsed().saturating_sub(self.waited) > self.limit
    }
}
