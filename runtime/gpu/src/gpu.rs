//! An open GPU.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pollster::block_on;
use runtime_diagnostics::panic_message;

use crate::caches::Caches;
use crate::{Adapter, Capabilities, Error, Recorder};

/// A GPU that is open. A copy is the same one.
#[derive(Clone)]
pub struct Gpu {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) adapter: Adapter,
    /// What kernels use, which may be less than the adapter has.
    pub(crate) capabilities: Capabilities,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    lost: Arc<Mutex<Option<String>>>,
    pub(crate) caches: Mutex<Caches>,
    /// Buffers that nobody holds, by their size.
    pub(crate) pool: Mutex<HashMap<u64, Vec<(wgpu::Buffer, u64)>>>,
    /// Buffers that results are read from, while no recorder has them.
    pub(crate) read_back: Mutex<Vec<wgpu::Buffer>>,
    /// Buffers for parameters, where commands cannot hold them.
    pub(crate) parameters: Mutex<Vec<wgpu::Buffer>>,
    pub(crate) next_id: AtomicU64,
    /// Bytes of all buffers.
    pub(crate) held: AtomicU64,
}

impl Gpu {
    /// Opens an adapter with [what makes kernels faster](Adapter::used), and lets it compute something that is known. Where
    /// that comes out wrong, it is tried without cooperative matrices, which few programs use, and then with the least that
    /// kernels need: what drivers get wrong is rarely the common ground.
    ///
    /// # Errors
    /// Where the driver does not open it, or it computes something else.
    pub fn open(adapter: &Adapter) -> Result<Self, Error> {
        let all = adapter.used();
        let without = Capabilities { cooperative: None, ..all };
        let least = Capabilities { f16: false, subgroups: None, immediates: false, ..without };
        let mut before = all;
        let mut tried = Self::open_with(adapter, all);
        for capabilities in [without, least] {
            let Err(Error::SelfTest { .. } | Error::Kernel { .. } | Error::Open { .. }) = tried else { break };
            if capabilities != before {
                tried = Self::open_with(adapter, capabilities);
            }
            before = capabilities;
        }
        tried
    }

    /// The same with no more than some capabilities, of those that it has.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(adapter: &Adapter, capabilities: Capabilities) -> Result<Self, Error> {
        let had = adapter.capabilities;
        let mut capabilities = Capabilities {
            f16: capabilities.f16 && had.f16,
            subgroups: capabilities.subgroups.and(had.subgroups),
            cooperative: capabilities.cooperative.and(had.cooperative),
            immediates: capabilities.immediates && had.immediates,
            largest_binding: capabilities.largest_binding.min(had.largest_binding),
        };
        if !capabilities.f16 || capabilities.subgroups.is_none() {
            capabilities.cooperative = None;
        }
        let mut features = wgpu::Features::empty();
        for (wanted, feature) in [
            (capabilities.f16, wgpu::Features::SHADER_F16),
            (capabilities.subgroups.is_some(), wgpu::Features::SUBGROUP),
            (capabilities.immediates, wgpu::Features::IMMEDIATES),
            (capabilities.cooperative.is_some(), wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
        ] {
            features.set(feature, wanted);
        }
        // SAFETY: kernels with cooperative matrices keep to what is asked of them: full subgroups of one size, in uniform control
        // flow, on memory that they are alone with between barriers.
        #[expect(unsafe_code, reason = "wgpu wants to be told that cooperative matrices may have mistakes")]
        let experimental_features = match capabilities.cooperative {
            Some(_) => unsafe { wgpu::ExperimentalFeatures::enabled() },
            None => wgpu::ExperimentalFeatures::disabled(),
        };
        let mut limits = adapter.raw.limits();
        limits.max_storage_buffer_binding_size = capabilities.largest_binding;
        if !capabilities.immediates {
            limits.max_immediate_size = 0;
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("runtime"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features,
            memory_hints: wgpu::MemoryHints::Performance,
            ..wgpu::DeviceDescriptor::default()
        };
        let failed = |message: String| Error::Open { adapter: adapter.name.clone(), message };
        let opened = catch_unwind(AssertUnwindSafe(|| block_on(adapter.raw.request_device(&descriptor))));
        let (device, queue) =
            opened.map_err(|panic| failed(panic_message(&*panic)))?.map_err(|error| failed(error.to_string()))?;
        let lost = Arc::new(Mutex::new(None));
        let (by_callback, by_error) = (Arc::clone(&lost), Arc::clone(&lost));
        device.set_device_lost_callback(move |reason, message| {
            let reason = if message.is_empty() { format!("{reason:?}") } else { message };
            locked(&by_callback).get_or_insert(reason);
        });
        // Whatever no scope has caught: none is expected, and going on would give wrong results.
        device.on_uncaptured_error(Arc::new(move |error| {
            locked(&by_error).get_or_insert(error.to_string());
        }));
        let gpu = Self {
            shared: Arc::new(Shared {
                adapter: adapter.clone(),
                capabilities,
                device,
                queue,
                limits,
                lost,
                caches: Mutex::default(),
                pool: Mutex::default(),
                read_back: Mutex::default(),
                parameters: Mutex::default(),
                next_id: AtomicU64::new(0),
                held: AtomicU64::new(0),
            }),
        };
        gpu.self_test()?;
        Ok(gpu)
    }

    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.shared.adapter
    }

    /// What its kernels use.
    pub fn capabilities(&self) -> Capabilities {
        self.shared.capabilities
    }

    /// Bytes of all buffers that it holds, those that wait to be used again included.
    pub fn held(&self) -> u64 {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// Fails where the GPU is lost.
    ///
    /// # Errors
    /// That it is.
    pub fn alive(&self) -> Result<(), Error> {
        self.shared.alive()
    }

    /// Gives the GPU up: whatever uses it from now on is told that it is lost.
    pub fn destroy(&self) {
        locked(&self.shared.lost).get_or_insert_with(|| "it was given up".to_owned());
        self.shared.device.destroy();
    }

    /// Begins a recording.
    pub fn record(&self) -> Recorder {
        Recorder::new(self.clone())
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("adapter", &self.shared.adapter.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn alive(&self) -> Result<(), Error> {
        match &*locked(&self.lost) {
            None => Ok(()),
            Some(reason) => Err(Error::Lost { adapter: self.adapter.name.clone(), reason: reason.clone() }),
        }
    }

    /// Does something with the device, and returns what it complains about; a panic of wgpu is one more complaint.
    pub(crate) fn guarded<T>(&self, kernel: &str, bytes: u64, work: impl FnOnce() -> T) -> Result<T, Error> {
        self.alive()?;
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let result = catch_unwind(AssertUnwindSafe(work));
        let mut first = None;
        for scope in scopes.into_iter().rev() {
            first = block_on(scope.pop()).or(first);
        }
        // What a lost device complains about is of no interest.
        self.alive()?;
        let adapter = || self.adapter.name.clone();
        match (result, first) {
            (Ok(result), None) => Ok(result),
            (_, Some(wgpu::Error::OutOfMemory { .. })) => Err(Error::OutOfMemory {
                adapter: adapter(),
                bytes,
                held: self.held.load(Ordering::Relaxed),
                memory: self.adapter.memory,
            }),
            (_, Some(error)) => {
                Err(Error::Kernel { adapter: adapter(), kernel: kernel.to_owned(), message: error.to_string() })
            }
            (Err(panic), None) => {
                Err(Error::Kernel { adapter: adapter(), kernel: kernel.to_owned(), message: panic_message(&*panic) })
            }
        }
    }

    /// Marks the GPU as lost, and says so.
    pub(crate) fn give_up(&self, reason: String) -> Error {
        let reason = locked(&self.lost).get_or_insert(reason).clone();
        Error::Lost { adapter: self.adapter.name.clone(), reason }
    }
}

/// What a mutex holds; a panic of another thread leaves nothing half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
