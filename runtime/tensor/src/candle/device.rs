//! Devices of candle.

use candle_core::{Device as Raw, DeviceLocation};

use crate::Error;

/// A device that computes through candle's tensors: a GPU of NVIDIA, or the processor, on which the same code is tested.
#[derive(Clone, Debug)]
pub struct Candle {
    pub(super) raw: Raw,
    name: String,
}

impl Candle {
    /// The processor. Plans on [`Device::Cpu`](crate::Device::Cpu) are much faster there.
    pub fn processor() -> Self {
        Self { raw: Raw::Cpu, name: "processor".to_owned() }
    }

    /// The GPU of NVIDIA that the driver numbers so.
    ///
    /// # Errors
    /// Where there is none, or the driver fails.
    #[cfg(feature = "cuda")]
    pub fn cuda(number: usize) -> Result<Self, Error> {
        let raw = Raw::new_cuda(number)?;
        let name = driver::name(number).unwrap_or_else(|_| format!("cuda:{number}"));
        Ok(Self { raw, name })
    }

    /// What its driver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number among the GPUs of NVIDIA, where it is one.
    pub fn number(&self) -> Option<usize> {
        match self.raw.location() {
            DeviceLocation::Cuda { gpu_id } => Some(gpu_id),
            _ => None,
        }
    }

    /// Whether it has done all that was asked of it so far. A GPU that has failed once fails for good.
    pub(super) fn is_usable(&self) -> bool {
        self.raw.synchronize().is_ok()
    }

    /// Bytes of memory that nothing holds, where the device tells.
    pub(crate) fn free(&self) -> Result<Option<u64>, Error> {
        #[cfg(feature = "cuda")]
        if let Raw::Cuda(device) = &self.raw {
            return driver::free(device).map(Some);
        }
        Ok(None)
    }
}

/// A GPU that the CUDA driver lists.
#[cfg(feature = "cuda")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    /// What its driver calls it.
    pub name: String,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its compute capability: the greater and the lesser number.
    pub capability: (i32, i32),
}

/// All GPUs that the CUDA driver lists, by number; none where there is no driver.
#[cfg(feature = "cuda")]
pub fn cuda_devices() -> Vec<CudaDevice> {
    driver::devices().unwrap_or_default()
}

/// What candle does not tell, of the driver itself.
#[cfg(feature = "cuda")]
mod driver {
    use candle_core::CudaDevice as Raw;
    use candle_core::cuda_backend::cudarc::driver::{DriverError, result, sys};

    use super::CudaDevice;
    use crate::Error;

    const MAJOR: sys::CUdevice_attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    const MINOR: sys::CUdevice_attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;

    pub(super) fn name(number: usize) -> Result<String, DriverError> {
        result::init()?;
        result::device::get_name(result::device::get(i32::try_from(number).unwrap_or(i32::MAX))?)
    }

    pub(super) fn devices() -> Result<Vec<CudaDevice>, DriverError> {
        result::init()?;
        let device = |number| {
            let device = result::device::get(number)?;
            // SAFETY: the driver has just given this device.
            #[expect(unsafe_code, reason = "the driver is called as it is")]
            let (memory, major, minor) = unsafe {
                (
                    result::device::total_mem(device)?,
                    result::device::get_attribute(device, MAJOR)?,
                    result::device::get_attribute(device, MINOR)?,
                )
            };
            Ok(CudaDevice {
                name: result::device::get_name(device)?,
                memory: memory as u64,
                capability: (major, minor),
            })
        };
        (0..result::device::get_count()?).map(device).collect()
    }

    pub(super) fn free(device: &Raw) -> Result<u64, Error> {
        let told = device.cuda_stream().context().mem_get_info();
        let (free, _) = told.map_err(|error| Error::Cuda { message: error.to_string() })?;
        Ok(free as u64)
    }
}
