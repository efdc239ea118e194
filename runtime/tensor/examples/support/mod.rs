//! What the timed examples share.

use std::error::Error;

use runtime_tensor::{Device, Gpu, gpus};

/// `cpu`, the number of a GPU among those that `runtime devices` lists, or `cuda:N` with the feature `cuda`.
pub(crate) fn device(name: Option<&str>) -> Result<Device, Box<dyn Error>> {
    match name {
        None | Some("cpu") => Ok(Device::Cpu),
        Some(name) => match name.strip_prefix("cuda:") {
            None => Ok(Device::Gpu(Gpu::open(gpus().get(name.parse::<usize>()?).ok_or("no such GPU")?)?)),
            Some(number) => cuda(number.parse()?),
        },
    }
}

#[cfg(feature = "cuda")]
fn cuda(number: usize) -> Result<Device, Box<dyn Error>> {
    Ok(Device::Candle(runtime_tensor::Candle::cuda(number)?))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device, Box<dyn Error>> {
    Err("built without the feature `cuda`".into())
}
