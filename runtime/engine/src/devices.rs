//! The devices that models run on, each opened once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runtime_tasks::DeviceName;
use runtime_tensor::{CudaDevice, Device, Gpu, GpuAdapter, GpuKind, cuda_devices, gpus};

use crate::Error;

/// A device by what it is, whatever it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opened {
    Cpu,
    /// The number of its adapter.
    Gpu(usize),
    /// Its number for CUDA.
    Cuda(usize),
}

/// Those that are open.
#[derive(Debug, Default)]
pub(crate) struct Devices(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    /// Made when a GPU is first asked for: drivers take their time.
    adapters: Option<Vec<GpuAdapter>>,
    /// Whether it has been said why any device is the processor.
    told: bool,
    /// By the numbers of their adapters.
    open: HashMap<usize, Gpu>,
    /// Those of CUDA, listed when one is first asked for, with those that are open by number.
    cuda: Option<Vec<CudaDevice>>,
    open_cuda: HashMap<usize, Device>,
}

impl Devices {
    /// The device of a name; `tell` is given what one who asked for any device should know of the choice.
    ///
    /// # Errors
    /// Where there is none, or it cannot be opened.
    pub(crate) fn open(&self, name: DeviceName, tell: fn(&str)) -> Result<(Device, Opened), Error> {
        if name == DeviceName::Cpu {
            return Ok((Device::Cpu, Opened::Cpu));
        }
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let DeviceName::Cuda(number) = name {
            return listed.open_cuda(number.unwrap_or(0), name);
        }
        // What is built in for GPUs of NVIDIA alone goes first; a processor that stands in for one is no GPU.
        let gpu = |device: &CudaDevice| device.capability.is_some();
        if let Some(number) = listed.cuda().iter().position(gpu).filter(|_| name == DeviceName::Auto) {
            match listed.open_cuda(number, name) {
                Ok(opened) => return Ok(opened),
                Err(error) if !std::mem::replace(&mut listed.told, true) => tell(&format!("{error}; another is used")),
                Err(_) => {}
            }
        }
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
    fn cuda(&mut self) -> &[CudaDevice] {
        self.cuda.get_or_insert_with(cuda_devices)
    }

    fn open_cuda(&mut self, number: usize, name: DeviceName) -> Result<(Device, Opened), Error> {
        if let Some(device) = self.open_cuda.get(&number) {
            return Ok((device.clone(), Opened::Cuda(number)));
        }
        let known = self.cuda();
        if number >= known.len() && !known.is_empty() {
            let known = (0..).zip(known).map(|(number, device)| format!("cuda:{number} ({})", device.name)).collect();
            return Err(Error::NoDevice { name, known });
        }
        let device = Device::cuda(number)?;
        self.open_cuda.insert(number, device.clone());
        Ok((device, Opened::Cuda(number)))
    }

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
