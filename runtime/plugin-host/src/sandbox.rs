//! What every call of a plugin needs of the host, and who is to blame for what happens in it.

use std::sync::Arc;

use runtime_graph::GraphError;
use wasmtime::{Engine, Store};

use crate::clock::Clock;
use crate::state::Guest;
use crate::{Error, Limits, Site, blame};

/// Bytes that a plugin may pass in one call of the host or of its own: names and texts.
pub(crate) const PASSED: usize = 16 << 20;

/// The engine, the clock and the bounds of a host.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<Clock>,
    pub(crate) limits: Limits,
}

impl Sandbox {
    /// A store that is bounded in memory, handles and what it passes; time is up to the call.
    pub(crate) fn store<G: Guest>(&self, state: G, passed: usize) -> Store<G> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.bounds().limiter);
        store.set_max_component_handles(self.limits.handles as usize);
        store.set_hostcall_fuel(passed);
        store
    }
}

/// A call of an export.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
    pub(crate) export: &'static str,
}

impl Call<'_> {
    /// What the plugin did that `error` came of.
    pub(crate) fn failed<G: Guest>(&self, error: &wasmtime::Error, state: &mut G, limits: &Limits) -> Error {
        match error.downcast_ref::<GraphError>() {
            Some(misuse) => self.misuse(Some(error), misuse.clone()),
            None => {
                let cause = blame::cause(error, state.bounds(), limits);
                Error::Trap { site: Box::new(self.site(Some(error))), cause }
            }
        }
    }

    pub(crate) fn misuse(&self, error: Option<&wasmtime::Error>, misuse: GraphError) -> Error {
        Error::Misuse { site: Box::new(self.site(error)), error: Box::new(misuse) }
    }

    fn site(&self, error: Option<&wasmtime::Error>) -> Site {
        blame::site(self.name, self.version, self.export, error)
    }
}
