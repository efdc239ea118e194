//! The GPUs that there are, and what they can do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pollster::block_on;

use crate::cooperative::{Cooperative, SHARED_MEMORY};

/// The backends that this crate is built for.
const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the memory of the processor.
    Integrated,
    /// A part of a GPU that is lent to a virtual machine.
    Virtual,
    /// A driver that computes on the processor.
    Cpu,
    /// The driver does not say.
    Other,
}

/// What kernels may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Arithmetic in half precision.
    pub f16: bool,
    /// Operations over subgroups: their least and greatest size.
    pub subgroups: Option<(u32, u32)>,
    /// Products of small matrices in hardware, of a kind that kernels can use. They take `f16` and `subgroups` too.
    pub cooperative: Option<Cooperative>,
    /// Parameters within the commands; else they take a buffer.
    pub immediates: bool,
    /// The most bytes of a buffer that a kernel sees. Larger weights are cut up.
    pub largest_binding: u64,
}

/// A GPU that can be opened.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(crate) raw: wgpu::Adapter,
    /// What its driver calls it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The driver and its version.
    pub driver: String,
    /// What kernels may use; what they do use by themselves is [`Self::used`].
    pub capabilities: Capabilities,
    /// The largest buffer in bytes.
    pub largest_buffer: u64,
    /// Its memory in bytes, where that is known.
    pub memory: Option<u64>,
}

/// All adapters, the most capable kinds first.
pub fn adapters() -> Vec<Adapter> {
    let descriptor = wgpu::InstanceDescriptor {
        backends: BACKENDS,
        flags: wgpu::InstanceFlags::empty(),
        // A driver that tells its budget refuses what would not fit, instead of losing the device.
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(98),
            for_device_loss: None,
        },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    // Never dropped: a driver that is unloaded while the process ends may take it down.
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    let list = || block_on(INSTANCE.get_or_init(|| wgpu::Instance::new(descriptor)).enumerate_adapters(BACKENDS));
    let listed = catch_unwind(AssertUnwindSafe(list));
    let mut adapters: Vec<Adapter> = listed.unwrap_or_default().into_iter().map(Adapter::new).collect();
    adapters.sort_by_key(|adapter| adapter.kind);
    adapters
}

impl Adapter {
    /// What kernels use of it where nothing else is said: what makes them faster.
    pub fn used(&self) -> Capabilities {
        let cooperative = self.capabilities.cooperative.filter(|_| self.kind != Kind::Cpu);
        Capabilities { cooperative, ..self.capabilities }
    }

    fn new(raw: wgpu::Adapter) -> Self {
        let (info, features, limits) = (raw.get_info(), raw.features(), raw.limits());
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Cpu,
            wgpu::DeviceType::Other => Kind::Other,
        };
        let subgroups = features.contains(wgpu::Features::SUBGROUP);
        Self {
            name: info.name,
            backend: info.backend.to_str(),
            kind,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            capabilities: Capabilities {
                f16: features.contains(wgpu::Features::SHADER_F16),
                subgroups: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
                cooperative: cooperative(&raw),
                immediates: features.contains(wgpu::Features::IMMEDIATES),
                largest_binding: limits.max_storage_buffer_binding_size,
            },
            largest_buffer: limits.max_buffer_size,
            memory: memory(&raw),
            raw,
        }
    }
}

/// The largest square matrices of halves that are added up in single precision. Subgroups must always be as large, since
/// nobody could say how many share a matrix otherwise.
fn cooperative(adapter: &wgpu::Adapter) -> Option<Cooperative> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let needed =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let lanes = info.subgroup_min_size;
    let can = adapter.features().contains(needed)
        && lanes == info.subgroup_max_size
        && limits.max_compute_workgroup_storage_size >= SHARED_MEMORY
        && limits.max_compute_invocations_per_workgroup >= 4 * lanes;
    let kinds = adapter.cooperative_matrix_properties();
    let usable = |side: &u32| {
        kinds.iter().any(|kind| {
            [kind.m_size, kind.n_size, kind.k_size] == [*side; 3] && kind.ab_type == F16 && kind.cr_type == F32
        })
    };
    let side = [16, 8].into_iter().find(usable)?;
    can.then_some(Cooperative { side: side as usize, lanes: lanes as usize })
}

/// The largest heap of a Vulkan device that is its own; the other backends do not say.
#[cfg(not(target_vendor = "apple"))]
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the handle is only read from while the adapter is there.
    #[expect(unsafe_code, reason = "wgpu itself does not tell how much memory there is")]
    unsafe {
        let adapter = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = adapter.shared_instance().raw_instance();
        let properties = instance.get_physical_device_memory_properties(adapter.raw_physical_device());
        let heaps = properties.memory_heaps.iter().take(properties.memory_heap_count as usize);
        // Bit 0 says that the memory is the device's.
        heaps.filter(|heap| heap.flags.as_raw() & 1 == 1).map(|heap| heap.size).max()
    }
}

#[cfg(target_vendor = "apple")]
fn memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}
