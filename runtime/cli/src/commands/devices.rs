//! `runtime devices`: what models can run on, and how a command's registry is told of it.

use comfy_table::{ContentArrangement, Table};
use runtime_diagnostics::{Exit, printable};
use runtime_engine::{GpuAdapter, GpuKind, Options, cuda_devices, gpus, instruction_set};

use crate::args::DeviceArg;
use crate::failure::Failure;
use crate::generating::aside;
use crate::output::print;

/// How a command loads models that run on a device.
pub(crate) fn options(device: &DeviceArg) -> Options {
    Options { device: device.device.clone(), tell: aside, progress: true, ..Options::default() }
}

pub(crate) fn run() -> Result<Exit, Failure> {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["device", "name", "kind", "memory", "kernels use"]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    table.add_row(["cpu", "this processor", &format!("{threads} threads"), "", instruction_set()]);
    for (number, device) in cuda_devices().into_iter().enumerate() {
        table.add_row([
            format!("cuda:{number}"),
            printable(&device.name),
            kind(if device.capability.is_some() { GpuKind::Discrete } else { GpuKind::Cpu }).to_owned(),
            device.memory.map_or_else(String::new, memory),
            device.capability.map_or_else(String::new, |(major, minor)| format!("compute capability {major}.{minor}")),
        ]);
    }
    let adapters = gpus();
    for (number, adapter) in adapters.iter().enumerate() {
        table.add_row([
            format!("wgpu:{number}"),
            format!("{} ({})", printable(&adapter.name), adapter.backend),
            kind(adapter.kind).to_owned(),
            adapter.memory.map_or_else(String::new, memory),
            kernels(adapter),
        ]);
    }
    print(&format!("{}\n", table.trim_fmt()))?;
    if adapters.is_empty() {
        aside("no Vulkan, Metal or DirectX 12 driver shows a GPU");
    }
    Ok(Exit::Ok)
}

fn kind(kind: GpuKind) -> &'static str {
    match kind {
        GpuKind::Discrete => "GPU",
        GpuKind::Integrated => "integrated GPU",
        GpuKind::Virtual => "virtual GPU",
        GpuKind::Cpu => "software",
        GpuKind::Other => "unknown",
    }
}

fn memory(bytes: u64) -> String {
    let tenths = bytes / (1 << 30) * 10 + bytes % (1 << 30) * 10 / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// What is there of what makes kernels faster.
fn kernels(adapter: &GpuAdapter) -> String {
    let capabilities = adapter.used();
    let subgroups = capabilities.subgroups.map(|(least, most)| match least == most {
        true => format!("subgroups of {least}"),
        false => format!("subgroups of {least} to {most}"),
    });
    let used = [
        subgroups,
        capabilities.f16.then(|| "f16".to_owned()),
        capabilities.immediates.then(|| "immediates".to_owned()),
        capabilities
            .cooperative
            .map(|matrices| format!("cooperative matrices of {side} by {side}", side = matrices.side)),
    ];
    let used: Vec<String> = used.into_iter().flatten().collect();
    if used.is_empty() { "shared memory".to_owned() } else { used.join(", ") }
}
