//! The devices that models run on, each opened once.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::{Mutex, PoisonError};

use runtime_tasks::{DeviceName, Placement};
use runtime_tensor::{Device, Gpu, GpuAdapter, GpuKind, Place, Share, gpus};

use crate::Error;

/// A device by what it is, whatever it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opened {
    Cpu,
    /// The number of its adapter.
    Gpu(usize),
}

/// Where a model is, by what its devices are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Placed {
    devices: Vec<Opened>,
    /// The layers of each, where they are said.
    layers: Vec<Range<usize>>,
}

impl Placed {
    /// All on the processor.
    pub(crate) fn on_cpu() -> Self {
        Self { devices: vec![Opened::Cpu], layers: Vec::new() }
    }

    /// Whether a GPU has a part.
    pub(crate) fn has_gpu(&self) -> bool {
        self.devices.iter().any(|device| *device != Opened::Cpu)
    }

    /// Which layers each device has, in words.
    pub(crate) fn tell(&self, shares: &[Share]) -> String {
        let share = |(device, share): (&Opened, &Share)| match share.layers.clone() {
            layers if layers.is_empty() => format!("none on {device}"),
            layers => format!("{}-{} on {device}", layers.start, layers.end - 1),
        };
        let all: Vec<String> = self.devices.iter().zip(shares).map(share).collect();
        format!("layers {}", all.join(", "))
    }

    /// The same with the processor behind it.
    pub(crate) fn and_cpu(&self) -> Self {
        let devices = self.devices.iter().copied().chain([Opened::Cpu]).collect();
        Self { devices, layers: Vec::new() }
    }
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(number) => write!(f, "wgpu:{number}"),
        }
    }
}

/// Those that are open, by the numbers of their adapters.
#[derive(Debug, Default)]
pub(crate) struct Devices(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    /// Made when a GPU is first asked for: drivers take their time.
    adapters: Option<Vec<GpuAdapter>>,
    /// Whether it has been said why any device is the processor.
    told: bool,
    open: HashMap<usize, Gpu>,
}

impl Devices {
    /// The devices of a placement, each of which is another; `tell` as for [`Self::open`].
    ///
    /// # Errors
    /// Where there is one that is not there or cannot be opened, or two are the same.
    pub(crate) fn place(&self, placement: &Placement, tell: fn(&str)) -> Result<(Place, Placed), Error> {
        let names: Vec<DeviceName> = match placement {
            Placement::On(name) => {
                let (device, opened) = self.open(*name, tell)?;
                return Ok((Place::On(device), Placed { devices: vec![opened], layers: Vec::new() }));
            }
            Placement::InTurn(names) => names.clone(),
            Placement::Shares(shares) => shares.iter().map(|(name, _)| *name).collect(),
        };
        let (mut devices, mut places): (Vec<Device>, Vec<Opened>) = (Vec::new(), Vec::new());
        for name in &names {
            let (device, opened) = self.open(*name, tell)?;
            if let Some(same) = places.iter().position(|place| *place == opened) {
                return Err(Error::SameDevice { first: names[same], second: *name });
            }
            devices.push(device);
            places.push(opened);
        }
        match placement {
            Placement::Shares(shares) => {
                let layers = |layers: &RangeInclusive<u32>| *layers.start() as usize..*layers.end() as usize + 1;
                let layers: Vec<Range<usize>> = shares.iter().map(|(_, range)| layers(range)).collect();
                let shares = devices.into_iter().zip(&layers);
                let shares = shares.map(|(device, layers)| Share { device, layers: layers.clone() }).collect();
                Ok((Place::Shares(shares), Placed { devices: places, layers }))
            }
            _ => Ok((Place::InTurn(devices), Placed { devices: places, layers: Vec::new() })),
        }
    }

    /// The device of a name; `tell` is given what one who asked for any device should know of the choice.
    ///
    /// # Errors
    /// Where there is none, or it cannot be opened.
    fn open(&self, name: DeviceName, tell: fn(&str)) -> Result<(Device, Opened), Error> {
        if name == DeviceName::Cpu {
            return Ok((Device::Cpu, Opened::Cpu));
        }
        if let DeviceName::Cuda(_) = name {
            return Err(Error::NoCuda);
        }
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let adapters = listed.adapters.get_or_insert_with(gpus).clone();
        let number = match name {
            DeviceName::Wgpu(number) => Some(number.unwrap_or(0)).filter(|number| *number < adapters.len()),
            DeviceName::Metal => adapters.iter().position(|adapter| adapter.backend == "metal"),
            // A driver that computes on the processor is slower than the processor's own kernels.
            _ => adapters
                .iter()
                .position(|adapter| matches!(adapter.kind, GpuKind::Discrete | GpuKind::Integrated | GpuKind::Virtual)),
        };
        let opened = match number {
            Some(number) => listed.open(number, &adapters[number]).map(|gpu| (Device::Gpu(gpu), Opened::Gpu(number))),
            None => Err(Error::NoDevice {
                name,
                known: (0..)
                    .zip(&adapters)
                    .map(|(number, adapter)| format!("wgpu:{number} ({})", adapter.name))
                    .collect(),
            }),
        };
        match opened {
            Err(error) if name == DeviceName::Auto => {
                if !std::mem::replace(&mut listed.told, true) {
                    tell(&match error {
                        Error::NoDevice { .. } => "there is no GPU; the processor computes".to_owned(),
                        error => format!("{error}; the processor computes"),
                    });
                }
                Ok((Device::Cpu, Opened::Cpu))
            }
            opened => opened,
        }
    }
}

impl Listed {
    fn open(&mut self, number: usize, adapter: &GpuAdapter) -> Result<Gpu, Error> {
        // One that was lost is opened anew.
        if let Some(gpu) = self.open.get(&number).filter(|gpu| gpu.alive().is_ok()) {
            return Ok(gpu.clone());
        }
        let gpu = Gpu::open(adapter)?;
        self.open.insert(number, gpu.clone());
        Ok(gpu)
    }
}
