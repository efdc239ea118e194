//! The weights that a fuzzed graph is built of: small, of every shape that an operator takes, and some that are hostile.

use std::error::Error;

use runtime_graph::{Catalog, DType};
use runtime_tensor::{BlockType, StoredTensor, StoredType, Weights};

/// Names, shapes and how they are stored. The catalog calls blocks half precision, as that of a GGUF file does.
pub const TENSORS: &[(&str, &[u32], Stored)] = &[
    ("words", &[16, 8], Stored::F32),
    ("half-words", &[16, 8], Stored::F16),
    ("square", &[8, 8], Stored::F32),
    ("brain-square", &[8, 8], Stored::BF16),
    ("narrow", &[4, 8], Stored::F32),
    ("pair", &[2, 8], Stored::F32),
    ("single", &[1, 8], Stored::F32),
    ("up", &[12, 8], Stored::F32),
    ("down", &[8, 12], Stored::F32),
    ("widen", &[64, 8], Stored::F32),
    ("large", &[64, 64], Stored::F32),
    ("half-large", &[72, 64], Stored::F16),
    ("shrink", &[8, 64], Stored::F32),
    ("blocks", &[64, 64], Stored::Q8),
    ("four-blocks", &[33, 64], Stored::Q4),
    ("block-words", &[16, 64], Stored::Q8),
    ("to-blocks", &[256, 8], Stored::F32),
    ("k-blocks", &[8, 256], Stored::Q4K),
    ("vector", &[8], Stored::F32),
    ("vector-2", &[2], Stored::F16),
    ("vector-4", &[4], Stored::F32),
    ("vector-12", &[12], Stored::F32),
    ("vector-64", &[64], Stored::BF16),
    ("row", &[1, 8], Stored::F32),
    ("one", &[1], Stored::F32),
    ("scalar", &[], Stored::F32),
    ("kernel", &[8, 8, 3], Stored::F32),
    ("groups", &[4, 4, 5], Stored::F32),
    ("taps", &[8, 4], Stored::F32),
    ("deep-taps", &[8, 1, 3], Stored::F32),
    ("states", &[8, 2], Stored::F32),
    ("buckets", &[8, 2], Stored::F32),
    ("buckets-4", &[32, 4], Stored::F32),
    ("distances", &[8, 8], Stored::F32),
    ("many", &[2, 2, 2, 2], Stored::F32),
    ("empty", &[0, 8], Stored::F32),
    ("endless", &[u32::MAX, u32::MAX], Stored::Absent),
    ("tall", &[u32::MAX, 8], Stored::Absent),
    ("broad", &[8, 1 << 31], Stored::Absent),
    ("long", &[u32::MAX], Stored::Absent),
    ("lying", &[8, 8], Stored::Short),
];

/// How a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    F32,
    F16,
    BF16,
    Q8,
    Q4,
    Q4K,
    /// Not at all: reading it fails.
    Absent,
    /// With one number too few.
    Short,
}

impl Stored {
    fn dtype(self) -> DType {
        match self {
            Self::F16 | Self::Q8 | Self::Q4 | Self::Q4K => DType::F16,
            Self::BF16 => DType::BF16,
            Self::F32 | Self::Absent | Self::Short => DType::F32,
        }
    }

    fn kind(self) -> StoredType {
        match self {
            Self::Q8 => BlockType::Q8_0.into(),
            Self::Q4 => BlockType::Q4_0.into(),
            Self::Q4K => BlockType::Q4_K.into(),
            _ => self.dtype().into(),
        }
    }
}

/// What an architecture sees of them.
pub fn catalog() -> Catalog {
    Catalog::new(TENSORS.iter().map(|(name, shape, stored)| (*name, shape.to_vec(), stored.dtype())), "model")
}

/// Their numbers.
pub struct Numbers {
    /// Whether some are no numbers, infinite, huge, or nearly zero.
    pub odd: bool,
}

const ODD: [f32; 8] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-40, -0.0, 1e30];

impl Weights for Numbers {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn Error + Send + Sync>> {
        let tensor = TENSORS.iter().find(|(known, ..)| *known == name);
        let (_, shape, stored) = *tensor.filter(|(.., stored)| *stored != Stored::Absent).ok_or("it is not there")?;
        let shape: Vec<usize> = shape.iter().map(|size| *size as usize).collect();
        let count: usize = shape.iter().product::<usize>() - usize::from(stored == Stored::Short);
        let mut state = name.len() as u64 + 7;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut number = || {
            let drawn = random();
            let small = f32::from((drawn % 401) as u16) / 100.0 - 2.0;
            if self.odd && drawn >> 40 & 31 == 0 { ODD[(drawn >> 50) as usize % ODD.len()] } else { small }
        };
        let bytes: Vec<u8> = match stored.kind() {
            StoredType::Plain(DType::F32) => (0..count).flat_map(|_| number().to_le_bytes()).collect(),
            StoredType::Plain(DType::BF16) => {
                (0..count).flat_map(|_| number().to_bits().to_le_bytes()[2..].to_vec()).collect()
            }
            // The upper byte of a half within -1 to 1, or any.
            StoredType::Plain(DType::F16) => {
                let upper = |drawn: u64| if self.odd { (drawn >> 8) as u8 } else { (drawn >> 8) as u8 & 0xbb };
                (0..count).map(|_| random()).flat_map(|drawn| [drawn as u8, upper(drawn)]).collect()
            }
            StoredType::Blocks(kind) => {
                let mut bytes: Vec<u8> = (0..count / kind.elements() * kind.bytes()).map(|_| random() as u8).collect();
                if !self.odd {
                    // The factors stand first, as halves; what there is of them is then small.
                    for block in bytes.chunks_exact_mut(kind.bytes()) {
                        block[1] &= 0x2b;
                        block[3] &= if matches!(kind, BlockType::Q4_K) { 0x2b } else { 0xff };
                    }
                }
                bytes
            }
        };
        Ok(StoredTensor { dtype: stored.kind(), shape, bytes: bytes.into() })
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Box<dyn Error + Send + Sync>> {
        let tensor = TENSORS.iter().find(|(known, ..)| *known == name);
        Ok(tensor.ok_or("it is not there")?.2.kind())
    }
}
