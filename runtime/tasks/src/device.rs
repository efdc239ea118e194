//! The names of devices.

use std::fmt;
use std::str::FromStr;

/// Where a model is to run, as the command line and pipeline files name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DeviceName {
    /// A GPU where there is one, else the processor.
    Auto,
    /// The processor.
    #[default]
    Cpu,
    /// A GPU over Vulkan, Metal or DirectX 12, by its number in the list of devices; the first where there is none.
    Wgpu(Option<usize>),
    /// The first GPU over Metal.
    Metal,
    /// A GPU of NVIDIA over CUDA.
    Cuda(Option<usize>),
}

/// A name that is none of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it can be auto, cpu, wgpu, wgpu:N, metal, cuda or cuda:N")]
pub struct UnknownDevice;

impl FromStr for DeviceName {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        let (kind, number) = match name.split_once(':') {
            Some((kind, number)) => {
                let parsed: usize = number.parse().map_err(|_| UnknownDevice)?;
                // As it is printed: no sign, no zeros in front.
                (kind, Some(Some(parsed).filter(|parsed| parsed.to_string() == number).ok_or(UnknownDevice)?))
            }
            None => (name, None),
        };
        match (kind, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("metal", None) => Ok(Self::Metal),
            ("wgpu", number) => Ok(Self::Wgpu(number)),
            ("cuda", number) => Ok(Self::Cuda(number)),
            _ => Err(UnknownDevice),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Metal => f.write_str("metal"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Wgpu(Some(number)) => write!(f, "wgpu:{number}"),
            Self::Cuda(Some(number)) => write!(f, "cuda:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was() {
        for name in ["auto", "cpu", "wgpu", "wgpu:0", "wgpu:12", "metal", "cuda", "cuda:1"] {
            assert_eq!(name.parse::<DeviceName>().map(|device| device.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "gpu", "cpu:0", "wgpu:", "wgpu:-1", "wgpu:x", "wgpu:00", "wgpu:+1", "auto:1", "CPU"] {
            assert_eq!(name.parse::<DeviceName>(), Err(UnknownDevice), "{name}");
        }
    }
}
