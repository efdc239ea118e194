//! Plugins that are steps of pipelines.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Store, UpdateDeadline};

use crate::clock::Running;
use crate::component::Compiled;
use crate::host::StepHost;
use crate::records::{Fields, fit};
use crate::sandbox::{Call, PASSED, Sandbox};
use crate::state::Serving;
use crate::v0_1::step::{Instance, Interface, Processed, State, own};
use crate::{Error, Granted, Limits, StepDescription, text};

/// A loaded step. Cheap to clone.
#[derive(Clone)]
pub struct StepPlugin(Arc<Loaded>);

struct Loaded {
    sandbox: Sandbox,
    interface: Interface,
    description: StepDescription,
    digest: String,
}

impl StepPlugin {
    pub(crate) fn new(sandbox: &Sandbox, linker: &Linker<State>, compiled: &Compiled) -> Result<Self, Error> {
        let interface = compiled.link(sandbox, linker, Interface::new)?;
        let call = Call { name: &compiled.file_name(), version: None, export: "describe" };
        let mut store = store(sandbox, &sandbox.limits);
        // It cannot wait for anything: what it may import, it may not call yet.
        let running = begin(sandbox, &mut store);
        let said = pollster::block_on(async { interface.instantiate(&mut store).await?.describe(&mut store).await });
        drop(running);
        let said = said.map_err(|error| call.failed(&error, store.data_mut(), &sandbox.limits))?;
        let checked = said.and_then(|description| description.check().map(|()| description));
        let description = checked.map_err(|reason| compiled.badly_described(text::printable(&reason)))?;
        let (sandbox, digest) = (sandbox.clone(), compiled.digest.clone());
        Ok(Self(Arc::new(Loaded { sandbox, interface, description, digest })))
    }

    /// What the step says of itself.
    pub fn description(&self) -> &StepDescription {
        &self.0.description
    }

    /// The SHA-256 of the component's file, in lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// An instance, set up with parameters; `host` is what it may call meanwhile.
    ///
    /// # Errors
    /// Where the parameters do not fit, the step refuses them, or it is ended.
    pub async fn start(&self, parameters: Fields, granted: Granted, host: Arc<dyn StepHost>) -> Result<Step, Error> {
        let Loaded { sandbox, interface, description, .. } = &*self.0;
        let (plugin, version) = (description.name.clone(), description.version.clone());
        if let Err(misfit) = fit(&description.parameters, &parameters) {
            return Err(Error::Parameters { plugin, version, misfit });
        }
        let limits = granted.limits(&sandbox.limits);
        let call = Call { name: &plugin, version: Some(&version), export: "start" };
        let mut store = store(sandbox, &limits);
        store.data_mut().host = Some(host);
        let running = begin(sandbox, &mut store);
        let started = async {
            let instance = interface.instantiate(&mut store).await?;
            Ok((instance.start(&mut store, parameters).await?, instance))
        };
        let started: wasmtime::Result<_> = started.await;
        drop(running);
        let (answer, instance) =
            started.map_err(|error| granted.withhold(call.failed(&error, store.data_mut(), &limits)))?;
        store.data_mut().host = None;
        if let Err(reason) = answer {
            // It has seen parameters of the pipeline alone.
            let reason = Some(text::printable(&reason));
            return Err(Error::NotStarted { plugin, version, reason });
        }
        Ok(Step { plugin: self.clone(), instance, store, granted, limits, is_usable: true })
    }
}

/// An instance of a step, which takes one record after another.
pub struct Step {
    plugin: StepPlugin,
    instance: Instance,
    store: Store<State>,
    granted: Granted,
    limits: Limits,
    is_usable: bool,
}

impl Step {
    /// The outputs for a record, all that the step describes; `host` is what it may call meanwhile.
    ///
    /// # Errors
    /// Where the inputs do not fit, the step refuses the record or gives wrong outputs, or it is ended.
    pub async fn process(&mut self, record: Fields, host: Arc<dyn StepHost>) -> Result<Fields, Error> {
        let StepDescription { name, version, inputs, outputs, .. } = &self.plugin.0.description;
        let (plugin, of_version) = (name.clone(), version.clone());
        if let Err(misfit) = fit(inputs, &record) {
            return Err(Error::Inputs { plugin, version: of_version, misfit });
        }
        let call = Call { name, version: Some(version), export: "process" };
        self.store.data_mut().host = Some(host);
        // Until it has ended well: a call that is given up, or a trap, leaves a guest in the middle of something.
        self.is_usable = false;
        let running = begin(&self.plugin.0.sandbox, &mut self.store);
        let processed = self.instance.process(&mut self.store, record).await;
        drop(running);
        self.store.data_mut().host = None;
        let processed = processed
            .map_err(|error| self.granted.withhold(call.failed(&error, self.store.data_mut(), &self.limits)))?;
        self.is_usable = true;
        let wrong = |reason| Error::Outputs { plugin: name.clone(), version: version.clone(), reason };
        match processed {
            Processed::Outputs(mut fields) => {
                fit(outputs, &fields).map_err(|misfit| wrong(misfit.to_string()))?;
                let mut value = |name: &String| fields.remove(name).unwrap_or_default();
                Ok(outputs.iter().map(|slot| (slot.name.clone(), value(&slot.name))).collect())
            }
            Processed::Wrong(reason) => Err(wrong(text::printable(&reason))),
            Processed::Refused(reason) => {
                let reason = self.granted.said(&reason);
                Err(Error::RecordRefused { plugin, version: of_version, reason })
            }
        }
    }

    /// Whether it can take another record: one that was ended cannot.
    pub fn is_usable(&self) -> bool {
        self.is_usable
    }
}

fn store(sandbox: &Sandbox, limits: &Limits) -> Store<State> {
    let mut store = sandbox.store(Serving::new(limits, own()), PASSED);
    store.epoch_deadline_callback(|context| {
        let over = context.data().meter.is_over();
        Ok(if over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
    });
    store
}

/// A call begins; the clock runs until the result is dropped.
fn begin<'s>(sandbox: &'s Sandbox, store: &mut Store<State>) -> Running<'s> {
    store.data_mut().meter.start();
    store.set_epoch_deadline(1);
    sandbox.clock.running()
}
