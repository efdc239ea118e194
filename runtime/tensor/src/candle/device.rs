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
        let name = driver::device(number).map_or_else(|_| format!("cuda:{number}"), |device| device.name);
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

/// What candle does not tell, of the driver itself.
#[cfg(feature = "cuda")]
pub(crate) mod driver {
    use candle_core::CudaDevice as Raw;
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError};

    use crate::{CudaDevice, Error};

    /// All GPUs that the driver lists.
    pub(crate) fn devices() -> Result<Vec<CudaDevice>, DriverError> {
        let count = usize::try_from(CudaContext::device_count()?).unwrap_or(0);
        (0..count).map(device).collect()
    }

    pub(super) fn device(number: usize) -> Result<CudaDevice, DriverError> {
        let context = CudaContext::new(number)?;
        let (memory, capability) = (Some(context.total_mem()? as u64), Some(context.compute_capability()?));
        Ok(CudaDevice { name: context.name()?, memory, capability })
    }

    pub(super) fn free(device: &Raw) -> Result<u64, Error> {
        let told = device.cuda_stream().context().mem_get_info();
        let (free, _) = told.map_err(|error| Error::Cuda { message: error.to_string() })?;
        Ok(free as u64)
    }
}
