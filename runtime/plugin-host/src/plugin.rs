//! Loading plugins, and calling those that describe an architecture.

use std::path::PathBuf;
use std::sync::Arc;

use runtime_graph::{Catalog, Graph, Head, Recording};
use wasmtime::component::Linker;
use wasmtime::{Cache, Store};

use crate::clock::{Clock, ticks};
use crate::component::{Compiled, PluginFile};
use crate::sandbox::{Call, Sandbox};
use crate::state::Building;
use crate::v0_1::{architecture, logits, step};
use crate::{Described, Description, Error, Inspection, Limits, LogitsPlugin, StepPlugin, World, engine};

/// Bytes that an architecture may pass in one call to the host; what it passes are names and short texts.
const PASSED: usize = 1 << 20;

/// Loads plugins. One serves a whole process; it is cheap to share.
pub struct PluginHost {
    sandbox: Sandbox,
    architectures: Linker<Building>,
    steps: Linker<step::State>,
    processors: Linker<logits::State>,
    cache: Option<Cache>,
}

impl PluginHost {
    /// A host that keeps compiled code in the folder `cache`, or in the platform's folder for caches.
    ///
    /// A folder that cannot be used is none: loading then always compiles.
    ///
    /// # Errors
    /// Where this machine cannot run WebAssembly.
    pub fn new(cache: Option<PathBuf>, limits: Limits) -> Result<Self, Error> {
        let failed = |error: wasmtime::Error| Error::Engine { source: error.into() };
        let (engine, cache) = engine::engine(cache, &limits).map_err(failed)?;
        let clock = Clock::start(&engine).map_err(|error| Error::Engine { source: error.into() })?;
        let mut architectures = Linker::new(&engine);
        architecture::add_to_linker(&mut architectures).map_err(failed)?;
        let mut steps = Linker::new(&engine);
        step::add_to_linker(&mut steps).map_err(failed)?;
        let mut processors = Linker::new(&engine);
        logits::add_to_linker(&mut processors).map_err(failed)?;
        let sandbox = Sandbox { engine, clock: Arc::new(clock), limits };
        Ok(Self { sandbox, architectures, steps, processors, cache })
    }

    /// How many plugins were loaded without compiling them.
    pub fn cache_hits(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    /// Loads an architecture, a component, and asks what it is for.
    ///
    /// # Errors
    /// Where the file cannot be read, is no component that fits the interface, or does not describe itself in time.
    pub fn load<'a>(&self, file: impl Into<PluginFile<'a>>) -> Result<Plugin, Error> {
        self.architecture(&Compiled::open(file.into(), &self.sandbox)?.expect(World::Architecture)?)
    }

    /// Loads a step in the same way.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_step<'a>(&self, file: impl Into<PluginFile<'a>>) -> Result<StepPlugin, Error> {
        let compiled = Compiled::open(file.into(), &self.sandbox)?.expect(World::Step)?;
        StepPlugin::new(&self.sandbox, &self.steps, &compiled)
    }

    /// Loads a processor of scores in the same way.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_logits<'a>(&self, file: impl Into<PluginFile<'a>>) -> Result<LogitsPlugin, Error> {
        let compiled = Compiled::open(file.into(), &self.sandbox)?.expect(World::LogitsProcessor)?;
        LogitsPlugin::new(&self.sandbox, &self.processors, &compiled)
    }

    /// What a file is and says of itself, whatever its world.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn inspect<'a>(&self, file: impl Into<PluginFile<'a>>) -> Result<Inspection, Error> {
        let compiled = Compiled::open(file.into(), &self.sandbox)?;
        let described = match compiled.world {
            World::Architecture => Described::Architecture(self.architecture(&compiled)?.description().clone()),
            World::Step => {
                Described::Step(StepPlugin::new(&self.sandbox, &self.steps, &compiled)?.description().clone())
            }
            World::LogitsProcessor => {
                let plugin = LogitsPlugin::new(&self.sandbox, &self.processors, &compiled)?;
                Described::LogitsProcessor(plugin.description().clone())
            }
        };
        Ok(Inspection::new(&compiled, &self.sandbox.engine, described))
    }

    fn architecture(&self, compiled: &Compiled) -> Result<Plugin, Error> {
        let sandbox = self.sandbox.clone();
        let interface = compiled.link(&sandbox, &self.architectures, architecture::Interface::new)?;
        let call = Call { name: &compiled.file_name(), version: None, export: "describe" };
        let recording = Recording::new(call.name, Catalog::default());
        let (description, _) = run(&sandbox, &call, recording, |store| interface.describe(store))?;
        description.check().map_err(|reason| compiled.badly_described(reason))?;
        Ok(Plugin(Arc::new(Loaded { sandbox, interface, description, digest: compiled.digest.clone() })))
    }
}

/// A loaded architecture. Cheap to clone; calls do not share anything and may run at the same time.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    sandbox: Sandbox,
    interface: architecture::Interface,
    description: Description,
    digest: String,
}

impl Plugin {
    /// What the plugin says of itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The SHA-256 of the component's file, in lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The graph of a model: `config` is the text of its `config.json`, `catalog` its checkpoint's tensors, made with
    /// the [prefix](Description::base_prefix) that the plugin asks for.
    ///
    /// # Errors
    /// Where the plugin refuses the configuration, misuses the graph, or is ended.
    pub fn build(&self, config: &str, head: Head, catalog: Catalog) -> Result<Graph, Error> {
        let Loaded { sandbox, interface, description, .. } = &*self.0;
        let Description { name, version, heads, .. } = description;
        if !heads.contains(&head) {
            return Err(Error::NoHead { plugin: name.clone(), version: version.clone(), head });
        }
        let call = Call { name, version: Some(version), export: "build" };
        let recording = Recording::new(name, catalog);
        let (answer, recording) = run(sandbox, &call, recording, |store| interface.build(store, config, head))?;
        answer.map_err(|refusal| Error::Refused {
            plugin: name.clone(),
            version: version.clone(),
            refusal: Box::new(refusal),
        })?;
        recording.finish().map_err(|misuse| call.misuse(None, misuse))
    }
}

/// Calls in a fresh store; returns also what was recorded.
fn run<T>(
    sandbox: &Sandbox,
    call: &Call<'_>,
    recording: Recording,
    export: impl FnOnce(&mut Store<Building>) -> wasmtime::Result<T>,
) -> Result<(T, Recording), Error> {
    let limits = &sandbox.limits;
    let mut store = sandbox.store(Building::new(recording, limits), PASSED);
    store.set_epoch_deadline(ticks(limits.deadline));
    let running = sandbox.clock.running();
    let result = export(&mut store);
    drop(running);
    let mut state = store.into_data();
    match result {
        Ok(value) => Ok((value, state.recording)),
        Err(error) => Err(call.failed(&error, &mut state, limits)),
    }
}
