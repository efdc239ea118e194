//! Weights of products and tables of look-ups, as tensors.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};
use runtime_graph::DType as Stored;
use runtime_kernels::BlockType;

use super::Candle;
use crate::lower::{Pack, Part};
use crate::{Error, Precision, StoredTensor};

/// A matrix `[outputs, inputs]`.
#[derive(Clone, Debug)]
pub(crate) enum Weight {
    /// In single precision, or in bf16; products are computed in the same.
    Numbers(Tensor),
    /// In blocks of ggml. Products bring their other operand into blocks of bytes too, as llama.cpp does.
    Blocks(Arc<QTensor>),
}

impl Weight {
    /// `x weight^T`
    pub(super) fn product(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Numbers(weight) => x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?.to_dtype(DType::F32)?,
            Self::Blocks(weight) => x.apply_op1_no_bwd(weight.as_ref())?,
        })
    }

    /// Some rows, in single precision.
    pub(super) fn rows(&self, ids: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Numbers(table) => table.index_select(ids, 0)?.to_dtype(DType::F32)?,
            Self::Blocks(table) => table.embedding(ids)?,
        })
    }
}

/// Uploads weights.
pub(super) struct Uploader {
    pub(super) device: Candle,
}

impl Pack for Uploader {
    type Packed = Weight;
    type Vector = Tensor;

    // A table that is also the weight of a product is uploaded once.
    const TABLES: bool = true;
    const STACKS: bool = false;

    /// What is stored in halves is widened for single precision: a product of CUDA takes both operands in one type, and
    /// activations in halves would lose digits that nobody has asked to lose, or overflow.
    fn numbers(&self, precision: Precision, inputs: usize, parts: &[Part<'_>]) -> Result<Weight, Error> {
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::Int8 => return Err(Error::NotOnGpu { what: "int8" }),
        };
        let device = &self.device.raw;
        let tensor = |part: &Part<'_>| -> Result<Tensor, Error> {
            let tensor = match part {
                Part::Computed(numbers) => matrix(numbers, inputs, device)?,
                // Halves are uploaded as they are, and brought into the type of the product there.
                Part::Stored(Stored::F32, bytes) => raw(bytes, DType::F32, inputs, device)?,
                Part::Stored(Stored::F16, bytes) => raw(bytes, DType::F16, inputs, device)?,
                Part::Stored(Stored::BF16, bytes) => raw(bytes, DType::BF16, inputs, device)?,
            };
            Ok(tensor.to_dtype(dtype)?)
        };
        let parts = parts.iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        Ok(Weight::Numbers(match &parts[..] {
            [part] => part.clone(),
            parts => Tensor::cat(parts, 0)?,
        }))
    }

    fn vector(&self, numbers: Vec<f32>) -> Result<Tensor, Error> {
        upload(&numbers, &self.device.raw)
    }

    fn blocks(&self, kind: BlockType, inputs: usize, parts: &[&[u8]]) -> Result<Weight, Error> {
        let bytes = match parts {
            [bytes] => Cow::Borrowed(*bytes),
            parts => Cow::Owned(parts.concat()),
        };
        let numbers = bytes.len() / kind.bytes() * kind.elements();
        let outputs = numbers / inputs.max(1);
        let Some(dtype) = ggml(kind) else {
            let stored = StoredTensor { dtype: kind.into(), shape: vec![outputs, inputs], bytes };
            return Ok(Weight::Numbers(matrix(&stored.to_f32(), inputs, &self.device.raw)?));
        };
        let storage = QStorage::from_data(bytes, &self.device.raw, dtype)?;
        Ok(Weight::Blocks(Arc::new(QTensor::new(storage, (outputs, inputs))?)))
    }
}

/// The name of a type in candle, where its kernels multiply with it and look it up.
fn ggml(kind: BlockType) -> Option<GgmlDType> {
    Some(match kind {
        BlockType::Q4_0 => GgmlDType::Q4_0,
        BlockType::Q4_1 => GgmlDType::Q4_1,
        BlockType::Q5_0 => GgmlDType::Q5_0,
        BlockType::Q5_1 => GgmlDType::Q5_1,
        BlockType::Q8_0 => GgmlDType::Q8_0,
        BlockType::Q2_K => GgmlDType::Q2K,
        BlockType::Q3_K => GgmlDType::Q3K,
        BlockType::Q4_K => GgmlDType::Q4K,
        BlockType::Q5_K => GgmlDType::Q5K,
        BlockType::Q6_K => GgmlDType::Q6K,
        // Only activations have these, and candle's CUDA has no kernels for weights of them.
        BlockType::Q8_1 | BlockType::Q8_K => return None,
    })
}

/// A vector, in single precision.
pub(super) fn upload(numbers: &[f32], device: &Device) -> Result<Tensor, Error> {
    Ok(Tensor::from_slice(numbers, numbers.len(), device)?)
}

fn matrix(numbers: &[f32], inputs: usize, device: &Device) -> Result<Tensor, Error> {
    Ok(Tensor::from_slice(numbers, (numbers.len() / inputs.max(1), inputs), device)?)
}

fn raw(bytes: &[u8], dtype: DType, inputs: usize, device: &Device) -> Result<Tensor, Error> {
    let rows = bytes.len() / dtype.size_in_bytes() / inputs.max(1);
    Ok(Tensor::from_raw_buffer(bytes, dtype, &[rows, inputs], device)?)
}
