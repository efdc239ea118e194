//! Loading a plugin and calling it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_graph::{Catalog, Graph, GraphError, Head, Recording};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, Engine, Store};

use crate::clock::{Clock, ticks};
use crate::state::State;
use crate::v0_1::Interface;
use crate::{Description, Error, Limits, blame, engine, text, v0_1, wasi};

/// Bytes that a plugin may pass in one call to the host; what it passes are names and short texts.
const PASSED: usize = 1 << 20;

/// Loads plugins. One serves a whole process; it is cheap to share.
pub struct PluginHost {
    sandbox: Sandbox,
    linker: Linker<State>,
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
        let mut linker = Linker::new(&engine);
        v0_1::add_to_linker(&mut linker).map_err(failed)?;
        Ok(Self { sandbox: Sandbox { engine, clock: Arc::new(clock), limits }, linker, cache })
    }

    /// How many plugins were loaded without compiling them.
    pub fn cache_hits(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    /// Loads the component at `path` and asks what it is for.
    ///
    /// # Errors
    /// Where the file cannot be read, is no component that fits the interface, or does not describe itself in time.
    pub fn load(&self, path: &Path) -> Result<Plugin, Error> {
        let bytes = self.read(path)?;
        let component = self.compile(path, &bytes)?;
        let interface = self.link(path, &component)?;

        let call = Call { sandbox: &self.sandbox, name: &file_name(path), version: None, export: "describe" };
        let recording = Recording::new(call.name, Catalog::default());
        let (description, _) = call.run(recording, |store| interface.describe(store))?;
        description.check().map_err(|reason| Error::Description { path: path.to_owned(), reason })?;
        let sandbox = self.sandbox.clone();
        Ok(Plugin(Arc::new(Loaded { sandbox, interface, description, digest: digest(&bytes) })))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let limit = self.sandbox.limits.component;
        let mut bytes = Vec::new();
        // Opening a pipe could wait for ever.
        let is_file = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
        });
        is_file
            .and_then(|()| File::open(path))
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { path: path.to_owned(), limit });
        }
        Ok(bytes)
    }

    fn compile(&self, path: &Path, bytes: &[u8]) -> Result<Component, Error> {
        let not_a_component = |reason| Error::NotAComponent { path: path.to_owned(), reason };
        // The preamble: a magic number, then a version and a layer, which core modules and components share.
        match bytes {
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {}
            [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
                return Err(not_a_component("it is a core module".to_owned()));
            }
            _ => return Err(not_a_component("it does not begin as WebAssembly does".to_owned())),
        }
        Component::new(&self.sandbox.engine, bytes)
            .map_err(|error| not_a_component(text::printable(&error.root_cause().to_string())))
    }

    /// Connects the component's imports with the version of the interface that it was made for.
    fn link(&self, path: &Path, component: &Component) -> Result<Interface, Error> {
        let engine = &self.sandbox.engine;
        let kind = component.component_type();
        for (import, _) in kind.imports(engine).filter(|(import, _)| !import.starts_with("wasi:")) {
            let (path, import) = (path.to_owned(), text::printable(import));
            match import.strip_prefix("inference:runtime/").map(v0_1::has) {
                Some(true) => {}
                Some(false) => return Err(Error::Interface { path, reason: format!("it imports `{import}`") }),
                None => return Err(Error::ForeignImport { path, import }),
            }
        }
        let mut linker = self.linker.clone();
        wasi::define(&mut linker, &kind, engine).and_then(|()| Interface::new(&linker, component)).map_err(|error| {
            let reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
            Error::Interface { path: path.to_owned(), reason: text::printable(&reasons.join(": ")) }
        })
    }
}

/// A loaded plugin. Cheap to clone; calls do not share anything and may run at the same time.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    sandbox: Sandbox,
    interface: Interface,
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
        let call = Call { sandbox, name, version: Some(version), export: "build" };
        let recording = Recording::new(name, catalog);
        let (answer, recording) = call.run(recording, |store| interface.build(store, config, head))?;
        answer.map_err(|refusal| Error::Refused {
            plugin: name.clone(),
            version: version.clone(),
            refusal: Box::new(refusal),
        })?;
        recording.finish().map_err(|misuse| call.misuse(None, misuse))
    }
}

/// What calls need of the host.
#[derive(Clone)]
struct Sandbox {
    engine: Engine,
    clock: Arc<Clock>,
    limits: Limits,
}

/// A call of an export, and who is to blame for what happens in it.
struct Call<'a> {
    sandbox: &'a Sandbox,
    name: &'a str,
    version: Option<&'a str>,
    export: &'static str,
}

impl Call<'_> {
    /// Calls in a fresh store; returns also what was recorded.
    fn run<T>(
        &self,
        recording: Recording,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<(T, Recording), Error> {
        let Sandbox { engine, clock, limits } = self.sandbox;
        let mut store = Store::new(engine, State::new(recording, limits));
        store.limiter(|state| &mut state.limiter);
        store.set_max_component_handles(limits.handles as usize);
        store.set_hostcall_fuel(PASSED);
        store.set_epoch_deadline(ticks(limits.deadline));
        let running = clock.running();
        let result = call(&mut store);
        drop(running);
        let state = store.into_data();
        match result {
            Ok(value) => Ok((value, state.recording)),
            Err(error) => Err(match error.downcast_ref::<GraphError>() {
                Some(misuse) => self.misuse(Some(&error), misuse.clone()),
                None => {
                    let cause = blame::cause(&error, &state, limits);
                    Error::Trap { site: Box::new(self.site(Some(&error))), cause }
                }
            }),
        }
    }

    fn misuse(&self, error: Option<&wasmtime::Error>, misuse: GraphError) -> Error {
        Error::Misuse { site: Box::new(self.site(error)), error: Box::new(misuse) }
    }

    fn site(&self, error: Option<&wasmtime::Error>) -> crate::Site {
        blame::site(self.name, self.version, self.export, error)
    }
}

fn file_name(path: &Path) -> String {
    text::printable(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
