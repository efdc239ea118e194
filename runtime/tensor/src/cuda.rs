//! GPUs of NVIDIA by number, in whatever way this program is built: without the features `candle` and `cuda` there are none.

use crate::{Device, Error};

/// A device that [`Device::cuda`] opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    /// What its driver calls it.
    pub name: String,
    /// Its memory in bytes; nothing for the processor, which stands in where candle is built in and CUDA is not.
    pub memory: Option<u64>,
    /// Its compute capability, the greater and the lesser number; nothing for the processor.
    pub capability: Option<(i32, i32)>,
}

/// All that [`Device::cuda`] opens, by number; none where there is no driver.
pub fn cuda_devices() -> Vec<CudaDevice> {
    #[cfg(feature = "cuda")]
    return crate::candle::driver::devices().unwrap_or_default();
    #[cfg(all(feature = "candle", not(feature = "cuda")))]
    return vec![CudaDevice { name: "the processor, in place of CUDA".to_owned(), memory: None, capability: None }];
    #[cfg(not(feature = "candle"))]
    Vec::new()
}

impl Device {
    /// The GPU of NVIDIA of this number.
    ///
    /// # Errors
    /// Where this program is built without CUDA, or the driver fails.
    pub fn cuda(number: usize) -> Result<Self, Error> {
        #[cfg(feature = "cuda")]
        return Ok(Self::Candle(crate::Candle::cuda(number)?));
        #[cfg(all(feature = "candle", not(feature = "cuda")))]
        return match number {
            0 => Ok(Self::Candle(crate::Candle::processor())),
            _ => Err(Error::NoCuda),
        };
        #[cfg(not(feature = "candle"))]
        {
            let _ = number;
            Err(Error::NoCuda)
        }
    }
}
