//! What can go wrong with a GPU.

use runtime_diagnostics::{Exit, Explain};

/// A failure of this crate.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no adapter at all.
    #[error("there is no GPU that Vulkan, Metal or DirectX 12 can use")]
    NoAdapter,
    /// An adapter that cannot be opened.
    #[error("cannot open the GPU `{adapter}`: {message}")]
    Open {
        /// Its name.
        adapter: String,
        /// What the driver says.
        message: String,
    },
    /// An adapter that computes wrong results.
    #[error("the GPU `{adapter}` fails its self-test: {found} instead of {expected}")]
    SelfTest {
        /// Its name.
        adapter: String,
        /// The number that it should have computed.
        expected: f32,
        /// What it did compute.
        found: f32,
    },
    /// More than a buffer may have.
    #[error("a buffer of {bytes} bytes was asked for, and the GPU `{adapter}` allows at most {limit}")]
    TooLarge {
        /// The adapter's name.
        adapter: String,
        /// Bytes that were asked for.
        bytes: u64,
        /// Bytes that there may be.
        limit: u64,
    },
    /// The memory of the GPU is exhausted.
    #[error("the memory of the GPU `{adapter}` is exhausted: {bytes} more bytes were asked for, {held} are held{}", of(*.memory))]
    OutOfMemory {
        /// The adapter's name.
        adapter: String,
        /// Bytes that were asked for, 0 where that is not known.
        bytes: u64,
        /// Bytes of all buffers that there are.
        held: u64,
        /// Bytes of memory, where that is known.
        memory: Option<u64>,
    },
    /// A kernel, or what it is used with, is not valid: a defect of this program or of the driver.
    #[error("the GPU `{adapter}` refuses the kernel `{kernel}`: {message}")]
    Kernel {
        /// The adapter's name.
        adapter: String,
        /// The kernel and its variant.
        kernel: String,
        /// Why.
        message: String,
    },
    /// The GPU has stopped working, and must be opened anew.
    #[error("the GPU `{adapter}` was lost: {reason}")]
    Lost {
        /// The adapter's name.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
}

fn of(memory: Option<u64>) -> String {
    memory.map(|memory| format!(" of {memory}")).unwrap_or_default()
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Kernel { .. } => Exit::Internal,
            _ => Exit::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoAdapter => {
                "install the driver of the GPU, or Mesa's software Vulkan (on Debian: mesa-vulkan-drivers), or use the CPU"
            }
            Self::Open { .. } | Self::SelfTest { .. } => "update the driver, or use another device",
            Self::TooLarge { .. } => "use smaller batches, or another device",
            Self::OutOfMemory { .. } => {
                "use a smaller or a quantized model, fewer sequences at a time, or another device"
            }
            Self::Kernel { .. } => "this is a defect; use another device meanwhile",
            Self::Lost { .. } => "what was running is lost; opening the GPU anew may help",
        };
        Some(hint.to_owned())
    }
}
