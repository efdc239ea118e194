//! Where a model is to run: on a device, or its layers on several.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::{DeviceName, UnknownDevice};

/// A device, or several that share the layers of a model. Its text is the same on a command line and in a pipeline file:
/// `wgpu:0`, `wgpu:0,cpu` or `wgpu:0=0-15,cpu=16-29`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// All of it on one device.
    On(DeviceName),
    /// Its layers in turn on these devices, as many on each as there is room for.
    InTurn(Vec<DeviceName>),
    /// These layers on these devices, from layer 0 on without a gap.
    Shares(Vec<(DeviceName, RangeInclusive<u32>)>),
}

impl Default for Placement {
    fn default() -> Self {
        Self::On(DeviceName::default())
    }
}

impl From<DeviceName> for Placement {
    fn from(name: DeviceName) -> Self {
        Self::On(name)
    }
}

/// A text that says no placement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPlacement {
    /// One that is no device.
    #[error("{UnknownDevice}, or several with a comma between them, such as `wgpu:0,cpu` or `wgpu:0=0-15,cpu=16-29`")]
    Unknown,
    /// One of several that is no device.
    #[error("`{name}` is no device: {UnknownDevice}")]
    UnknownOf {
        /// What it is.
        name: String,
    },
    /// `auto` among several.
    #[error("`auto` finds devices by itself, and cannot be one of several")]
    Auto,
    /// A device that is there already.
    #[error("`{name}` is named twice")]
    Twice {
        /// The device.
        name: DeviceName,
    },
    /// Layers for some of the devices.
    #[error("`{name}` is given no layers, as others are, such as `{name}=0-15`")]
    Missing {
        /// The first without them.
        name: DeviceName,
    },
    /// What stands behind a `=` is no range.
    #[error("`{text}` are no layers: write `0-15`, or `3` for one alone")]
    NoLayers {
        /// What it is.
        text: String,
    },
    /// A device whose layers do not follow those of the device before it.
    #[error(
        "the layers of `{name}` begin with {found} instead of {expected}: each layer is named once, in ascending order"
    )]
    Order {
        /// The device.
        name: DeviceName,
        /// Its first layer.
        found: u32,
        /// The first that no device before it has.
        expected: u32,
    },
    /// The processor before others.
    #[error("`cpu` takes all layers that are left, so it is named last; or say which, as in `cpu=0-15,wgpu=16-29`")]
    ProcessorFirst,
}

impl FromStr for Placement {
    type Err = WrongPlacement;

    fn from_str(text: &str) -> Result<Self, WrongPlacement> {
        if !text.contains([',', '=']) {
            return text.parse().map(Self::On).map_err(|UnknownDevice| WrongPlacement::Unknown);
        }
        let entries = text
            .split(',')
            .map(|entry| entry.trim().split_once('=').map_or((entry, None), |(name, layers)| (name, Some(layers))));
        let mut named: Vec<(DeviceName, Option<&str>)> = Vec::new();
        for (name, layers) in entries {
            let name = name.trim();
            let device = name.parse().map_err(|UnknownDevice| WrongPlacement::UnknownOf { name: name.to_owned() })?;
            if device == DeviceName::Auto {
                return Err(WrongPlacement::Auto);
            }
            if named.iter().any(|(known, _)| numbered(*known) == numbered(device)) {
                return Err(WrongPlacement::Twice { name: device });
            }
            named.push((device, layers));
        }
        if named.iter().all(|(_, layers)| layers.is_none()) {
            let devices: Vec<DeviceName> = named.into_iter().map(|(device, _)| device).collect();
            return match devices.iter().rev().skip(1).any(|device| *device == DeviceName::Cpu) {
                true => Err(WrongPlacement::ProcessorFirst),
                false => Ok(Self::InTurn(devices)),
            };
        }
        let (mut shares, mut expected) = (Vec::new(), 0);
        for (name, layers) in named {
            let layers = range(layers.ok_or(WrongPlacement::Missing { name })?)?;
            if *layers.start() != expected {
                return Err(WrongPlacement::Order { name, found: *layers.start(), expected });
            }
            expected = layers.end().saturating_add(1);
            shares.push((name, layers));
        }
        Ok(Self::Shares(shares))
    }
}

/// A GPU without a number is the first.
fn numbered(device: DeviceName) -> DeviceName {
    match device {
        DeviceName::Wgpu(number) => DeviceName::Wgpu(number.or(Some(0))),
        DeviceName::Cuda(number) => DeviceName::Cuda(number.or(Some(0))),
        other => other,
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, WrongPlacement> {
    let wrong = || WrongPlacement::NoLayers { text: text.trim().to_owned() };
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let layers = number(first)?..=number(last)?;
    if layers.is_empty() { Err(wrong()) } else { Ok(layers) }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |index: usize| if index > 0 { "," } else { "" };
        match self {
            Self::On(device) => device.fmt(f),
            Self::InTurn(devices) => {
                devices.iter().enumerate().try_for_each(|(index, device)| write!(f, "{}{device}", comma(index)))
            }
            Self::Shares(shares) => shares.iter().enumerate().try_for_each(|(index, (device, layers))| {
                write!(f, "{}{device}={}-{}", comma(index), layers.start(), layers.end())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_comes_back_as_it_was() {
        for text in ["cpu", "auto", "wgpu:1", "wgpu:0,wgpu:1,cpu", "wgpu=0-3,cpu=4-29", "cpu=0-3,cuda=4-4", "cpu=0-5"] {
            assert_eq!(text.parse::<Placement>().map(|placement| placement.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(" wgpu = 0 - 3 , cpu = 4 ".parse::<Placement>(), "wgpu=0-3,cpu=4-4".parse());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wgpu = DeviceName::Wgpu(None);
        let order = |name, found, expected| WrongPlacement::Order { name, found, expected };
        let no_layers = |text: &str| WrongPlacement::NoLayers { text: text.to_owned() };
        for (text, expected) in [
            ("gpu", WrongPlacement::Unknown),
            ("", WrongPlacement::Unknown),
            ("wgpu,gpu", WrongPlacement::UnknownOf { name: "gpu".to_owned() }),
            ("wgpu,", WrongPlacement::UnknownOf { name: String::new() }),
            ("wgpu,auto", WrongPlacement::Auto),
            ("wgpu:0,cpu,wgpu", WrongPlacement::Twice { name: wgpu }),
            ("cpu=0-1,cpu=2-3", WrongPlacement::Twice { name: DeviceName::Cpu }),
            ("cpu,wgpu", WrongPlacement::ProcessorFirst),
            ("wgpu=0-3,cpu", WrongPlacement::Missing { name: DeviceName::Cpu }),
            ("wgpu,cpu=4-9", WrongPlacement::Missing { name: wgpu }),
            ("wgpu=1-3,cpu=4-9", order(wgpu, 1, 0)),
            ("wgpu=0-3,cpu=5-9", order(DeviceName::Cpu, 5, 4)),
            ("wgpu=0-3,cpu=3-9", order(DeviceName::Cpu, 3, 4)),
            ("wgpu=4-9,cpu=0-3", order(wgpu, 4, 0)),
            ("wgpu=0-x", no_layers("0-x")),
            ("wgpu=3-0", no_layers("3-0")),
            ("wgpu=", no_layers("")),
            ("wgpu=0--1", no_layers("0--1")),
            ("wgpu=0=1", no_layers("0=1")),
        ] {
            assert_eq!(text.parse::<Placement>(), Err(expected), "{text}");
        }
    }
}
