//! The loaded models, each once however many pipelines and steps use it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use runtime_constraint::Vocabulary;
use runtime_graph::{Graph, Head};
use runtime_hub::{Hub, ModelSource, PluginSource as HubPlugin, Settings};
use runtime_models::{Adapter, Error as ModelError, Model, ModelFolder};
use runtime_pipeline::PluginSource;
use runtime_plugin_host::{
    Error as PluginError, Fields, Inspection, Limits, LogitsPlugin, Plugin, PluginFile, PluginHost, StepPlugin,
};
use runtime_provider::Endpoint;
use runtime_tasks::{DeviceName, Dtype, Placement};
use runtime_tensor::{Device, Error as PlanError, Place, PlanAdapter, Precision};

use crate::devices::{Devices, Placed};
use crate::generate::Generator;
use crate::hosted::Hosted;
use crate::memo::Memo;
use crate::plugins::loading::{self, Loaded};
use crate::scheduler::{Scheduler, TOKEN_BUDGET};
use crate::{Architecture, Error, Stamp};

/// How a registry loads models.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where models run that are not told otherwise.
    pub device: Placement,
    /// What is called with what a user should know of the choice of a device.
    pub tell: fn(&str),
    /// Bytes of results that each model remembers; 0 for none.
    pub memo: usize,
    /// Bytes for the keys and values of each model that generates.
    pub kv_cache: usize,
    /// Whether downloads show their progress on stderr.
    pub progress: bool,
    /// Where compiled plugins are kept; by default the platform's cache folder.
    pub plugin_cache: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: Placement::default(),
            tell: |_| (),
            memo: 0,
            kv_cache: 2 << 30,
            progress: false,
            plugin_cache: None,
        }
    }
}

/// Loads models, and hands out those that are loaded already. A model is dropped with its last user.
pub struct Registry {
    options: Options,
    hub: OnceLock<Hub>,
    plugins: OnceLock<PluginHost>,
    loaded_plugins: Loaded<Plugin>,
    loaded_steps: Loaded<StepPlugin>,
    loaded_processors: Loaded<LogitsPlugin>,
    models: Mutex<HashMap<Key, Weak<LoadedModel>>>,
    hosted: Mutex<Vec<Weak<Hosted>>>,
    devices: Devices,
    loads: AtomicUsize,
}

/// How a folder's model is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// A plugin that describes it, instead of a built-in architecture or the one that the folder brings along.
    pub plugin: Option<PluginFile<'a>>,
    /// What its weights are computed in.
    pub dtype: Dtype,
    /// The folder of a LoRA adapter that its weights are changed by.
    pub adapter: Option<&'a Path>,
    /// Where it runs, if not where the others do.
    pub device: Option<&'a Placement>,
}

impl<'a> From<Option<&'a Path>> for LoadOptions<'a> {
    fn from(plugin: Option<&'a Path>) -> Self {
        Self { plugin: plugin.map(PluginFile::from), ..Self::default() }
    }
}

/// All that defines a loaded model; two equal keys are the same model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    files: Vec<Option<Stamp>>,
    plugin: Option<String>,
    head: Head,
    dtype: Dtype,
    device: Placed,
}

/// A model with its queue.
pub struct LoadedModel {
    pub(crate) model: Model,
    pub(crate) scheduler: Scheduler,
    generator: OnceLock<Generator>,
    vocabulary: OnceLock<Vocabulary>,
    /// Those that are in use beside its weights, by their files.
    adapters: Mutex<HashMap<Vec<Option<Stamp>>, Weak<PlanAdapter>>>,
    kv_cache: usize,
}

impl LoadedModel {
    /// The model itself.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The queue of what it is to generate.
    ///
    /// # Errors
    /// Where it is no model that generates.
    pub fn generator(&self) -> Result<&Generator, Error> {
        once(&self.generator, || {
            let Model { plan, head, width, max_positions, .. } = &self.model;
            Generator::start(Arc::clone(plan), *head, *width, *max_positions, self.kv_cache)
        })
    }

    /// Its tokens, over which constraints are compiled; made at the first call.
    ///
    /// # Errors
    /// Where its tokenizer does not say what bytes its tokens stand for.
    pub fn vocabulary(&self) -> Result<&Vocabulary, Error> {
        once(&self.vocabulary, || Ok(Vocabulary::new(&self.model.tokenizer, self.model.width)?))
    }

    /// An adapter beside its weights, each once; the model is that of `folder`, and `path` the adapter's.
    ///
    /// # Errors
    /// Where it is for another model, or does more than can be done beside a model's weights.
    pub(crate) fn adapter(&self, folder: &ModelFolder, path: &Path) -> Result<Arc<PlanAdapter>, Error> {
        let adapter = ModelFolder::new(path);
        let files = Adapter::files(&adapter).iter().map(|file| Stamp::of(file)).collect();
        let mut adapters = self.adapters.lock().unwrap_or_else(PoisonError::into_inner);
        adapters.retain(|_, adapter| adapter.strong_count() > 0);
        if let Some(known) = adapters.get(&files).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let adapter = Arc::new(self.model.adapter(folder, &Adapter::open(&adapter)?)?);
        adapters.insert(files, Arc::downgrade(&adapter));
        Ok(adapter)
    }
}

impl Registry {
    /// A registry with nothing loaded.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            hub: OnceLock::new(),
            plugins: OnceLock::new(),
            loaded_plugins: Loaded::default(),
            loaded_steps: Loaded::default(),
            loaded_processors: Loaded::default(),
            models: Mutex::default(),
            hosted: Mutex::default(),
            devices: Devices::default(),
            loads: AtomicUsize::new(0),
        }
    }

    /// How often weights were loaded.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    /// The hub, as the environment sets it up.
    ///
    /// # Errors
    /// Where the environment does not say where its cache is.
    pub fn hub(&self) -> Result<&Hub, Error> {
        once(&self.hub, || Ok(Hub::new(Settings::from_env()?)))
    }

    /// The folder of a model, downloaded where it is of the hub and not in the cache.
    ///
    /// # Errors
    /// Where it is not there and cannot be downloaded.
    pub fn folder(&self, source: &ModelSource) -> Result<ModelFolder, Error> {
        let path = match source {
            ModelSource::Folder(path) if path.is_dir() => path.clone(),
            other => self.hub()?.resolve(other, self.options.progress)?,
        };
        Ok(ModelFolder::new(path))
    }

    /// The graph of a folder's model; weights are not loaded.
    ///
    /// # Errors
    /// Where configuration, checkpoint and architecture do not fit.
    pub fn graph(&self, folder: &ModelFolder, plugin: Option<PluginFile<'_>>, head: Head) -> Result<Graph, Error> {
        let config = folder.config()?;
        let architecture = Architecture::choose(folder, &config, plugin, |path| self.plugin(path))?;
        Ok(Model::graph(folder, &config, &architecture, head)?)
    }

    /// The model of a folder with a head.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or the parts do not fit together.
    pub fn load<'a>(
        &self,
        folder: &ModelFolder,
        how: impl Into<LoadOptions<'a>>,
        head: Head,
    ) -> Result<Arc<LoadedModel>, Error> {
        let LoadOptions { plugin, dtype, adapter, device } = how.into();
        let device = device.unwrap_or(&self.options.device);
        let is_auto = *device == Placement::On(DeviceName::Auto);
        let (place, placed) = match self.devices.place(device, self.options.tell)? {
            // Products of bytes are the processor's.
            (_, placed) if dtype == Dtype::Int8 && placed.has_gpu() && is_auto => {
                (Place::On(Device::Cpu), Placed::on_cpu())
            }
            (_, placed) if dtype == Dtype::Int8 && placed.has_gpu() => return Err(Error::Int8OnGpu),
            places => places,
        };
        let adapter = adapter.map(ModelFolder::new);
        let config = folder.config()?;
        let architecture = Architecture::choose(folder, &config, plugin, |path| self.plugin(path))?;
        let mut files = folder.files();
        files.extend(adapter.iter().flat_map(Adapter::files));
        let key = Key {
            files: files.iter().map(|file| Stamp::of(file)).collect(),
            plugin: architecture.digest(),
            head,
            dtype,
            device: placed.clone(),
        };
        // Held while loading, so that two users of a model do not load it twice.
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        // A model whose device is lost is loaded anew, for those to come.
        if let Some(loaded) = models.get(&key).and_then(Weak::upgrade).filter(|loaded| loaded.model.plan.is_usable()) {
            return Ok(loaded);
        }
        let precision = match dtype {
            Dtype::F32 => Precision::F32,
            Dtype::Bf16 => Precision::Bf16,
            Dtype::Int8 => Precision::Int8,
        };
        let adapter = adapter.as_ref().map(Adapter::open).transpose()?;
        let load = |place| Model::load(folder, &config, &architecture, head, adapter.as_ref(), place, precision);
        let model = match place {
            Place::On(gpu) if is_auto && placed.has_gpu() => match load(Place::On(gpu.clone())) {
                Err(ModelError::Compile { source, .. }) => {
                    // What the GPU has no room for goes to the processor, and all of it where that cannot be.
                    let both = Place::InTurn(vec![gpu, Device::Cpu]);
                    let both = if let PlanError::TooSmall { .. } = source { load(both).ok() } else { None };
                    match both {
                        Some(model) => {
                            self.tell_shares(folder, &placed.and_cpu(), &model);
                            model
                        }
                        None => {
                            (self.options.tell)(&format!("{source}; the processor computes"));
                            load(Place::On(Device::Cpu))?
                        }
                    }
                }
                loaded => loaded?,
            },
            place => load(place)?,
        };
        if !is_auto {
            self.tell_shares(folder, &placed, &model);
        }
        self.loads.fetch_add(1, Ordering::Relaxed);
        let memo = Memo::new(self.options.memo);
        let scheduler = Scheduler::start(Arc::clone(&model.plan), model.head, TOKEN_BUDGET, memo);
        let kv_cache = self.options.kv_cache;
        let loaded = Arc::new(LoadedModel {
            model,
            scheduler,
            generator: OnceLock::new(),
            vocabulary: OnceLock::new(),
            adapters: Mutex::default(),
            kv_cache,
        });
        models.retain(|_, model| model.strong_count() > 0);
        models.insert(key, Arc::downgrade(&loaded));
        Ok(loaded)
    }

    /// The model behind an endpoint; the same one for all that name it alike.
    ///
    /// # Errors
    /// Where its address or its key is unfit, or the environment variable that is to hold the key is not set.
    pub(crate) fn hosted(&self, endpoint: Endpoint) -> Result<Arc<Hosted>, Error> {
        let mut all = self.hosted.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|hosted| hosted.strong_count() > 0);
        if let Some(known) = all.iter().filter_map(Weak::upgrade).find(|hosted| *hosted.endpoint() == endpoint) {
            return Ok(known);
        }
        let hosted = Arc::new(Hosted::new(endpoint, self.options.memo)?);
        all.push(Arc::downgrade(&hosted));
        Ok(hosted)
    }

    /// Says which layers of a model lie where, if several devices have them.
    fn tell_shares(&self, folder: &ModelFolder, placed: &Placed, model: &Model) {
        let shares = model.plan.shares();
        if !shares.is_empty() {
            (self.options.tell)(&format!("`{}`: {}", folder.path().display(), placed.tell(&shares)));
        }
    }

    /// The architecture in a file, loaded once while the file stays as it is.
    fn plugin(&self, file: PluginFile<'_>) -> Result<Plugin, Error> {
        self.loaded_plugins.get(file, Plugin::digest, |file| self.open_plugin(file.path, |host| host.load(file)))
    }

    /// The step in a file, in the same way.
    pub(crate) fn step_plugin(&self, file: PluginFile<'_>) -> Result<StepPlugin, Error> {
        self.loaded_steps.get(file, StepPlugin::digest, |file| self.open_plugin(file.path, |host| host.load_step(file)))
    }

    /// The processor of scores in a file, in the same way.
    pub(crate) fn logits_plugin(&self, file: PluginFile<'_>) -> Result<LogitsPlugin, Error> {
        self.loaded_processors
            .get(file, LogitsPlugin::digest, |file| self.open_plugin(file.path, |host| host.load_logits(file)))
    }

    /// A processor of scores as a command names it: a path, a file of the hub or an artifact of a registry.
    ///
    /// # Errors
    /// Where it cannot be had, is no processor, or is not set up with such parameters.
    pub fn named_logits_plugin(&self, name: &Path, parameters: &Fields) -> Result<LogitsPlugin, Error> {
        let path = self.named_plugin(name)?;
        let plugin = self.logits_plugin(PluginFile::from(&path))?;
        plugin.check(parameters)?;
        Ok(plugin)
    }

    /// What a plugin's file is and says of itself.
    ///
    /// # Errors
    /// Where it is no plugin.
    pub fn inspect_plugin(&self, path: &Path) -> Result<Inspection, Error> {
        self.open_plugin(path, |host| host.inspect(path))
    }

    /// The file of a plugin that the command line names: a path, a file of the hub or an artifact of a registry.
    ///
    /// # Errors
    /// Where it cannot be downloaded.
    pub fn named_plugin(&self, name: &Path) -> Result<PathBuf, Error> {
        match Self::plugin_elsewhere(name)? {
            Some(source) => Ok(self.hub()?.fetch_plugin(&source, self.options.progress)?),
            None => Ok(name.to_owned()),
        }
    }

    /// The same, but a tag of a registry is asked for anew; with the source that stands for this very file, if there is one.
    ///
    /// # Errors
    /// As [`Self::named_plugin`].
    pub fn latest_plugin(&self, name: &Path) -> Result<(PathBuf, Option<String>), Error> {
        let Some(HubPlugin::Oci(reference)) = Self::plugin_elsewhere(name)? else {
            return Ok((self.named_plugin(name)?, None));
        };
        let hub = self.hub()?;
        let path = hub.refresh_oci(&reference, self.options.progress)?;
        let pinned = hub.oci_digest(&reference)?.map(|digest| reference.pinned(digest).to_string());
        Ok((path, pinned))
    }

    /// Where a plugin is that has no path. What is there, and what is not Unicode, is one.
    fn plugin_elsewhere(name: &Path) -> Result<Option<HubPlugin>, Error> {
        let source = name.to_str().filter(|_| !name.exists()).map(HubPlugin::parse).transpose()?;
        Ok(source.filter(|source| !matches!(source, HubPlugin::File(_))))
    }

    /// The file of a plugin that a pipeline in the folder `base` names.
    ///
    /// # Errors
    /// Where it is elsewhere, and cannot be downloaded.
    pub(crate) fn plugin_file(&self, plugin: &PluginSource, base: &Path) -> Result<PathBuf, Error> {
        match HubPlugin::parse(&plugin.source)?.resolved_from(base) {
            HubPlugin::File(path) => Ok(path),
            elsewhere => Ok(self.hub()?.fetch_plugin(&elsewhere, self.options.progress)?),
        }
    }

    /// Whether that file is here already.
    pub(crate) fn has_plugin(&self, plugin: &PluginSource, base: &Path) -> bool {
        match HubPlugin::parse(&plugin.source).map(|source| source.resolved_from(base)) {
            Ok(HubPlugin::File(path)) => path.is_file(),
            Ok(elsewhere) => self.hub().is_ok_and(|hub| hub.cached_plugin(&elsewhere).is_ok()),
            Err(_) => false,
        }
    }

    /// What is called with what a user should know.
    pub(crate) fn tell(&self) -> fn(&str) {
        self.options.tell
    }

    /// Loads a plugin, and says so where that takes time.
    fn open_plugin<P>(
        &self,
        path: &Path,
        load: impl FnOnce(&PluginHost) -> Result<P, PluginError>,
    ) -> Result<P, Error> {
        let host = self.plugins()?;
        Ok(loading::told(self.options.tell, path, || load(host))?)
    }

    fn plugins(&self) -> Result<&PluginHost, Error> {
        once(&self.plugins, || Ok(PluginHost::new(self.options.plugin_cache.clone(), Limits::default())?))
    }
}

/// What the cell holds, made at the first call that succeeds. (`OnceLock::get_or_try_init` is not stable.)
fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, Error>) -> Result<&T, Error> {
    match cell.get() {
        Some(value) => Ok(value),
        None => make().map(|value| cell.get_or_init(|| value)),
    }
}
