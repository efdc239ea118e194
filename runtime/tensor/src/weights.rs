//! Where a plan gets its weights from.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;
use runtime_graph::{DType, Dim, Shape};
use runtime_kernels::BlockType;

use crate::Error;

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoredType {
    /// One after the other, in little-endian order.
    Plain(DType),
    /// In blocks of numbers that follow each other in a row; a row is whole blocks.
    Blocks(BlockType),
}

impl From<DType> for StoredType {
    fn from(dtype: DType) -> Self {
        Self::Plain(dtype)
    }
}

impl From<BlockType> for StoredType {
    fn from(kind: BlockType) -> Self {
        Self::Blocks(kind)
    }
}

impl StoredType {
    /// Numbers that are stored together, and their bytes.
    fn unit(self) -> (usize, usize) {
        match self {
            Self::Plain(dtype) => (1, dtype.size()),
            Self::Blocks(kind) => (kind.elements(), kind.bytes()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain(dtype) => dtype.name(),
            Self::Blocks(kind) => kind.name(),
        }
    }
}

/// A tensor as a checkpoint stores it.
#[derive(Clone, Debug)]
pub struct StoredTensor<'a> {
    /// How its numbers are stored.
    pub dtype: StoredType,
    /// Its sizes, as the graph names them: the last is that of a row.
    pub shape: Vec<usize>,
    /// The numbers, row by row.
    pub bytes: Cow<'a, [u8]>,
}

/// The tensors of a checkpoint.
pub trait Weights {
    /// The tensor called `name`, as the checkpoint names it.
    ///
    /// # Errors
    /// Where there is none or it cannot be read.
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>>;

    /// How it is stored, without reading it.
    ///
    /// # Errors
    /// Where there is none.
    fn stored_type(&self, name: &str) -> Result<StoredType, Box<dyn std::error::Error + Send + Sync>>;
}

/// Numbers converted at a time, whole blocks: enough to make a task worth its scheduling, and to stay in the cache.
const CHUNK: usize = 1 << 15;

impl StoredTensor<'_> {
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Compares the tensor with what the graph was recorded for.
    pub(crate) fn check(&self, name: &str, shape: &Shape) -> Result<(), Error> {
        let same = |(dim, size): (&Dim, &usize)| matches!(dim, Dim::Fixed(fixed) if *fixed as usize == *size);
        if shape.rank() != self.shape.len() || !shape.dims().iter().zip(&self.shape).all(same) {
            let (name, expected, found) = (name.to_owned(), shape.clone(), self.shape.clone());
            return Err(Error::WeightShape { name, expected, found });
        }
        let (together, bytes) = self.dtype.unit();
        let width = self.shape.last().copied().unwrap_or(1);
        if width % together != 0 {
            let (name, dtype) = (name.to_owned(), self.dtype.name());
            return Err(Error::WeightBlocks { name, width, dtype, together });
        }
        let expected = self.elements() / together * bytes;
        let found = self.bytes.len();
        if expected == found { Ok(()) } else { Err(Error::WeightSize { name: name.to_owned(), expected, found }) }
    }

    /// The numbers in single precision of a tensor called `name` that must have a shape.
    ///
    /// # Errors
    /// Where it has another shape, or fewer bytes than that needs.
    pub fn to_shape(&self, name: &str, shape: &Shape) -> Result<Vec<f32>, Error> {
        self.check(name, shape)?;
        Ok(self.to_f32())
    }

    /// The numbers in single precision, which holds each of the stored types exactly.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.elements()];
        let (together, bytes) = self.dtype.unit();
        let chunks = self.bytes.par_chunks(CHUNK / together * bytes);
        numbers.par_chunks_mut(CHUNK).zip(chunks).for_each(|(to, from)| match self.dtype {
            StoredType::Plain(DType::F32) => decode(from, to, f32::from_le_bytes),
            StoredType::Plain(DType::F16) => {
                decode_half::<f16>(from, f16::from_le_bytes, |half| half.convert_to_f32_slice(to));
            }
            StoredType::Plain(DType::BF16) => decode(from, to, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            StoredType::Blocks(kind) => kind.dequantize(from, to),
        });
        numbers
    }
}

fn decode<const N: usize, T>(bytes: &[u8], to: &mut [T], convert: impl Fn([u8; N]) -> T) {
    for (to, from) in to.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = convert(*from);
    }
}

/// Through a slice of halves, since the processor's instruction converts eight at once.
fn decode_half<H>(bytes: &[u8], convert: impl Fn([u8; 2]) -> H, write: impl FnOnce(&[H])) {
    let halves: Vec<H> = bytes.as_chunks().0.iter().map(|bytes| convert(*bytes)).collect();
    write(&halves);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stored_type_becomes_the_same_numbers() {
        let numbers = [0.0f32, -1.5, 0.333_251_95, 65504.0, -6.1e-5];
        let f16s = numbers.map(f16::from_f32);
        let bf16s = numbers.map(bf16::from_f32);
        for (dtype, bytes, expected) in [
            (DType::F32, numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(), numbers),
            (DType::F16, f16s.iter().flat_map(|x| x.to_le_bytes()).collect(), f16s.map(f16::to_f32)),
            (DType::BF16, bf16s.iter().flat_map(|x| x.to_le_bytes()).collect(), bf16s.map(bf16::to_f32)),
        ] {
            let stored = StoredTensor { dtype: dtype.into(), shape: vec![5], bytes: bytes.into() };
            assert_eq!(stored.to_f32(), expected, "{dtype:?}");
        }
    }

    #[test]
    fn a_tensor_shorter_than_its_shape_is_an_error() {
        let stored = StoredTensor { dtype: DType::F32.into(), shape: vec![2, 2], bytes: vec![0; 12].into() };
        let error = stored.check("w", &Shape::fixed(&[2, 2])).map_err(|error| error.to_string());
        assert_eq!(error, Err("the weight `w` has 12 bytes, but its shape needs 16".to_owned()));
    }

    #[test]
    fn a_row_that_is_no_whole_blocks_is_an_error() {
        let stored = StoredTensor { dtype: BlockType::Q4_0.into(), shape: vec![4, 40], bytes: vec![0; 90].into() };
        let error = stored.check("w", &Shape::fixed(&[4, 40])).map_err(|error| error.to_string());
        assert_eq!(error, Err("the rows of the weight `w` have 40 numbers, but `Q4_0` has blocks of 32".to_owned()));
        let stored = StoredTensor { dtype: BlockType::Q4_0.into(), shape: vec![2, 64], bytes: vec![0; 71].into() };
        let error = stored.check("w", &Shape::fixed(&[2, 64])).map_err(|error| error.to_string());
        assert_eq!(error, Err("the weight `w` has 71 bytes, but its shape needs 72".to_owned()));
    }
}
