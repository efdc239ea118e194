//! Where tensors lie, and how their numbers are stored.

use crate::Error;

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The number that stands for it in a file.
    pub id: u32,
    known: Option<&'static Known>,
}

/// A type of `ggml.h`.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    id: u32,
    name: &'static str,
    /// Numbers that are stored together.
    elements: u64,
    /// Their bytes.
    bytes: u64,
}

const fn known(id: u32, name: &'static str, elements: u64, bytes: u64) -> Known {
    Known { id, name, elements, bytes }
}

/// The types of `ggml_type` and the sizes of their blocks in `ggml-common.h`.
static KNOWN: [Known; 33] = [
    known(0, "F32", 1, 4),
    known(1, "F16", 1, 2),
    known(2, "Q4_0", 32, 18),
    known(3, "Q4_1", 32, 20),
    known(6, "Q5_0", 32, 22),
    known(7, "Q5_1", 32, 24),
    known(8, "Q8_0", 32, 34),
    known(9, "Q8_1", 32, 36),
    known(10, "Q2_K", 256, 84),
    known(11, "Q3_K", 256, 110),
    known(12, "Q4_K", 256, 144),
    known(13, "Q5_K", 256, 176),
    known(14, "Q6_K", 256, 210),
    known(15, "Q8_K", 256, 292),
    known(16, "IQ2_XXS", 256, 66),
    known(17, "IQ2_XS", 256, 74),
    known(18, "IQ3_XXS", 256, 98),
    known(19, "IQ1_S", 256, 50),
    known(20, "IQ4_NL", 32, 18),
    known(21, "IQ3_S", 256, 110),
    known(22, "IQ2_S", 256, 82),
    known(23, "IQ4_XS", 256, 136),
    known(24, "I8", 1, 1),
    known(25, "I16", 1, 2),
    known(26, "I32", 1, 4),
    known(27, "I64", 1, 8),
    known(28, "F64", 1, 8),
    known(29, "IQ1_M", 256, 56),
    known(30, "BF16", 1, 2),
    known(34, "TQ1_0", 256, 54),
    known(35, "TQ2_0", 256, 66),
    known(39, "MXFP4", 32, 17),
    known(40, "NVFP4", 64, 36),
];

impl TensorType {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, known: KNOWN.iter().find(|known| known.id == id) }
    }

    /// Its name in ggml, such as `Q4_K`; `None` for a type that came later.
    pub fn name(self) -> Option<&'static str> {
        self.known.map(|known| known.name)
    }
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its dimensions in the order of ggml: first the numbers in a row, then the rows.
    pub dimensions: Vec<u64>,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many bytes it has; 0 where its type is not known.
    pub bytes: u64,
}

/// Dimensions that a tensor may have.
pub(crate) const MOST_DIMENSIONS: u32 = 4;

/// The bytes of a tensor with these dimensions.
pub(crate) fn bytes(name: &str, dimensions: &[u64], kind: TensorType) -> Result<u64, Error> {
    let wrong = |expected| Error::Dimensions { name: name.to_owned(), dimensions: dimensions.to_vec(), expected };
    let elements = dimensions.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
    // ggml counts in signed numbers.
    let elements = elements.filter(|elements| i64::try_from(*elements).is_ok());
    let elements = elements.ok_or_else(|| wrong("and their product is more than any file holds"))?;
    if elements == 0 {
        return Err(wrong("and none of them may be 0"));
    }
    let Some(known) = kind.known else { return Ok(0) };
    if dimensions.first().is_none_or(|row| row % known.elements != 0) {
        return Err(wrong("and a row is to be whole blocks of its type"));
    }
    (elements / known.elements).checked_mul(known.bytes).ok_or_else(|| wrong("which take more bytes than any file has"))
}
