//! Exit codes, as `sysexits.h` of BSD numbers them.

use std::process::ExitCode;

/// Why a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// A pipeline's own tests ran and some failed.
    Failed = 1,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// The input is wrong, in part or in whole (`EX_DATAERR`).
    Data = 65,
    /// An input does not exist, or is a folder (`EX_NOINPUT`).
    NoInput = 66,
    /// Something needed, such as a model, cannot be had now (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// A defect of this program (`EX_SOFTWARE`).
    Internal = 70,
    /// Reading or writing failed (`EX_IOERR`).
    Io = 74,
    /// A pipeline file or a model's configuration is wrong (`EX_CONFIG`).
    Config = 78,
    /// The user ended it with Ctrl-C, as shells number it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
