//! The types that the weights of a model can be computed in.

/// How the weights of matrix products are held; what else there is stays in single precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Dtype {
    /// Single precision: what Hugging Face computes, to the last digits.
    #[default]
    F32,
    /// The upper half of a single: half of the memory.
    Bf16,
    /// Bytes with a factor for each output, activations quantized as they come: a quarter of the memory, and faster.
    Int8,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Its name on the command line and in pipeline files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}
