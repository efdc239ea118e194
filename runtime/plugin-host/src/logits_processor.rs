//! Plugins that change the scores of the next token.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Store, UpdateDeadline};

use crate::component::Compiled;
use crate::host::TextHost;
use crate::records::{Fields, Slot, check_slots, fit};
use crate::sandbox::{Call, PASSED, Sandbox};
use crate::state::Serving;
use crate::step_description::check_plugin;
use crate::v0_1::logits::{Instance, Interface, Sequence, State};
use crate::{Error, Granted, Limits};

/// What a processor says of itself; checked when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogitsDescription {
    /// Its name, such as `word-filter`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it does, for people.
    pub summary: String,
    /// What it is set up with.
    pub parameters: Vec<Slot>,
}

/// A loaded processor. Cheap to clone.
#[derive(Clone)]
pub struct LogitsPlugin(Arc<Loaded>);

struct Loaded {
    sandbox: Sandbox,
    interface: Interface,
    description: LogitsDescription,
    digest: String,
}

impl LogitsPlugin {
    pub(crate) fn new(sandbox: &Sandbox, linker: &Linker<State>, compiled: &Compiled) -> Result<Self, Error> {
        let interface = compiled.link(sandbox, linker, Interface::new)?;
        let call = Call { name: &compiled.file_name(), version: None, export: "describe" };
        let mut store = store(sandbox, &sandbox.limits);
        let description =
            run(sandbox, &sandbox.limits, &call, &mut store, |store| interface.instantiate(store)?.describe(store))?;
        let LogitsDescription { name, version, summary, parameters } = &description;
        check_plugin(name, version, summary)
            .and_then(|()| check_slots("parameter", parameters))
            .map_err(|reason| compiled.badly_described(reason))?;
        let (sandbox, digest) = (sandbox.clone(), compiled.digest.clone());
        Ok(Self(Arc::new(Loaded { sandbox, interface, description, digest })))
    }

    /// What the processor says of itself.
    pub fn description(&self) -> &LogitsDescription {
        &self.0.description
    }

    /// The SHA-256 of the component's file, in lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Whether the parameters fit what it describes.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, parameters: &Fields) -> Result<(), Error> {
        let LogitsDescription { name, version, parameters: slots, .. } = &self.0.description;
        fit(slots, parameters).map_err(|misfit| Error::Parameters {
            plugin: name.clone(),
            version: version.clone(),
            misfit,
        })
    }

    /// An instance for one text behind the tokens of a prompt; `host` is what it may call.
    ///
    /// # Errors
    /// Where the parameters do not fit, the processor refuses them, or it is ended.
    pub fn start(
        &self,
        parameters: Fields,
        prompt: &[u32],
        granted: Granted,
        host: Arc<dyn TextHost>,
    ) -> Result<Processor, Error> {
        self.check(&parameters)?;
        let Loaded { sandbox, interface, description, .. } = &*self.0;
        let limits = granted.limits(&sandbox.limits);
        let call = self.call("start");
        let mut store = store(sandbox, &limits);
        store.data_mut().host = Some(host);
        let started = run(sandbox, &limits, &call, &mut store, |store| {
            let instance = interface.instantiate(store)?;
            Ok((instance.start(store, parameters, prompt)?, instance))
        });
        let (answer, instance) = started.map_err(|error| granted.withhold(error))?;
        let sequence = answer.map_err(|reason| Error::NotStarted {
            plugin: description.name.clone(),
            version: description.version.clone(),
            reason: granted.said(&reason),
        })?;
        Ok(Processor { plugin: self.clone(), instance, store, sequence, granted, limits })
    }

    fn call(&self, export: &'static str) -> Call<'_> {
        let LogitsDescription { name, version, .. } = &self.0.description;
        Call { name, version: Some(version), export }
    }
}

/// A processor of one text that is being generated.
pub struct Processor {
    plugin: LogitsPlugin,
    instance: Instance,
    store: Store<State>,
    sequence: Sequence,
    granted: Granted,
    limits: Limits,
}

impl Processor {
    /// Changes the scores of the token behind `tokens`, those chosen since the last call.
    ///
    /// # Errors
    /// Where it is ended, or makes a score that is none; it is then of no more use.
    pub fn process(&mut self, tokens: &[u32], scores: &mut [f32]) -> Result<(), Error> {
        let (instance, sandbox, sequence) = (&self.instance, &self.plugin.0.sandbox, self.sequence);
        let row = &mut self.store.data_mut().own;
        row.clear();
        row.extend_from_slice(scores);
        let processed = run(sandbox, &self.limits, &self.plugin.call("process"), &mut self.store, |store| {
            instance.process(store, sequence, tokens)
        });
        processed.map_err(|error| self.granted.withhold(error))?;
        let row = &self.store.data().own;
        let is_none = |score: &f32| score.is_nan() || *score == f32::INFINITY;
        if let Some(token) = row.iter().position(is_none) {
            let LogitsDescription { name, version, .. } = self.plugin.description();
            let (plugin, version, score) = (name.clone(), version.clone(), row[token]);
            return Err(Error::Score { plugin, version, token, score });
        }
        scores.copy_from_slice(row);
        Ok(())
    }
}

fn store(sandbox: &Sandbox, limits: &Limits) -> Store<State> {
    let mut store = sandbox.store(Serving::new(limits, Vec::new()), PASSED);
    store.epoch_deadline_callback(|context| {
        let over = context.data().meter.is_over();
        Ok(if over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
    });
    store
}

/// Calls, with the clock running.
fn run<T>(
    sandbox: &Sandbox,
    limits: &Limits,
    call: &Call<'_>,
    store: &mut Store<State>,
    export: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T, Error> {
    store.data_mut().meter.start();
    store.set_epoch_deadline(1);
    let running = sandbox.clock.running();
    let result = export(store);
    drop(running);
    result.map_err(|error| call.failed(&error, store.data_mut(), limits))
}
