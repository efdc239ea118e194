//! Tensors under their Hugging Face names, as the model had them before it was converted.
//!
//! ggml names the sizes of a tensor in the opposite order; the bytes are the same. Rows that the converter reordered are
//! put back as whole rows, and thus as whole blocks. Linear layers of GPT-2 stay `[outputs, inputs]`, as the converter
//! turned them: `config` says so.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use runtime_gguf::{TensorInfo, TensorType};
use runtime_graph::{Catalog, DType};
use runtime_tensor::{BlockType, StoredTensor, StoredType};

use super::family::Family;
use super::parts::Part;
use super::{Fields, GgufError};
use crate::Error;
use crate::experts::Matrix;

/// The tensors of a model.
#[derive(Debug)]
pub(super) struct Tensors {
    parts: Vec<Part>,
    /// By their Hugging Face names.
    places: BTreeMap<String, Place>,
    /// Tensors of types that nothing can be computed with, and those types.
    unusable: Vec<(String, String)>,
}

#[derive(Debug)]
struct Place {
    part: usize,
    /// Of the tensors of that part.
    index: usize,
    /// Its sizes, the rows first.
    shape: Vec<usize>,
    dtype: StoredType,
    undo: Undo,
}

/// What the converter did to a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    Nothing,
    /// It laid the halves of the rows of each of so many heads between each other.
    Pairs {
        heads: usize,
    },
    /// It added 1.
    PlusOne,
}

impl Tensors {
    pub(super) fn new(family: &Family, fields: &Fields<'_>, parts: Vec<Part>) -> Result<Self, GgufError> {
        let mut tensors = Self { parts, places: BTreeMap::new(), unusable: Vec::new() };
        for (part, file) in tensors.parts.iter().enumerate() {
            for (index, info) in file.tensors.iter().enumerate() {
                let name = family.hugging_face_name(&info.name);
                let Some(dtype) = dtype(info.kind) else {
                    let kind = info.kind.name().map_or_else(|| format!("{} of ggml", info.kind.id), str::to_owned);
                    tensors.unusable.push((name, kind));
                    continue;
                };
                let mut shape = shape(info)?;
                // One row, which may be stored as a vector.
                if shape.len() == 1 && name.ends_with(".shared_expert_gate.weight") {
                    shape.insert(0, 1);
                }
                let place = Place { part, index, shape, dtype, undo: undo(family, fields, info)? };
                match tensors.places.entry(name) {
                    Entry::Vacant(vacant) => vacant.insert(place),
                    Entry::Occupied(there) => {
                        let other = tensors.parts[there.get().part].file.path.clone();
                        return Err(GgufError::TwoParts { name: info.name.clone(), other });
                    }
                };
            }
        }
        Ok(tensors)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// What an architecture gets to see. Of numbers in blocks it sees a type that holds them, as it is the same to it.
    pub(super) fn catalog(&self, base_prefix: &str) -> Catalog {
        let tensors = self.places.iter().filter_map(|(name, place)| {
            let shape: Result<Vec<u32>, _> = place.shape.iter().map(|size| u32::try_from(*size)).collect();
            Some((name.clone(), shape.ok()?, seen(place.dtype)))
        });
        let matrices = self.places.iter().flat_map(|(stack, place)| {
            Matrix::names(stack, &place.shape).into_iter().filter_map(|name| {
                let (matrix, place) = self.matrix(&name)?;
                let shape = matrix.shape.map(|size| u32::try_from(size).ok());
                Some((name, shape.into_iter().collect::<Option<_>>()?, seen(place.dtype)))
            })
        });
        let own = Catalog::new(tensors, base_prefix).with_unusable(self.unusable.iter().cloned());
        own.with_tensors(matrices.filter(|(name, ..)| !self.places.contains_key(name)))
    }

    /// The sizes of a tensor, the rows first.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).map(|place| place.shape.as_slice())
    }

    /// The matrix of an expert in a stack.
    fn matrix(&self, name: &str) -> Option<(Matrix, &Place)> {
        let matrix = Matrix::find(name, |stack| Some(self.places.get(stack)?.shape.as_slice()))?;
        let place = self.places.get(&matrix.stack)?;
        Some((matrix, place))
    }

    fn read_matrix(&self, name: &str) -> Result<StoredTensor<'static>, Error> {
        let (matrix, place) = self.matrix(name).ok_or_else(|| Error::NoTensor { name: name.to_owned() })?;
        let (part, info) = self.find(place);
        let bytes = matrix.bytes(&place.shape, info.bytes);
        let too_large = || Error::Gguf { path: part.file.path.clone(), source: no_memory(info) };
        let length = usize::try_from(bytes.end - bytes.start).map_err(|_| too_large())?;
        let bytes = part.file.read(info.offset + bytes.start, length)?;
        Ok(StoredTensor { dtype: place.dtype, shape: matrix.shape.to_vec(), bytes: bytes.into() })
    }

    pub(super) fn read(&self, name: &str) -> Result<StoredTensor<'static>, Error> {
        if !self.places.contains_key(name) && self.matrix(name).is_some() {
            return self.read_matrix(name);
        }
        let place = self.place(name)?;
        let (part, info) = self.find(place);
        let too_large = || Error::Gguf { path: part.file.path.clone(), source: no_memory(info) };
        let mut bytes = part.file.read(info.offset, usize::try_from(info.bytes).map_err(|_| too_large())?)?;
        match place.undo {
            Undo::Nothing => {}
            Undo::Pairs { heads } => bytes = rows_apart(&bytes, place.shape[0], heads),
            Undo::PlusOne => {
                for number in bytes.as_chunks_mut().0 {
                    *number = (f32::from_le_bytes(*number) - 1.0).to_le_bytes();
                }
            }
        }
        Ok(StoredTensor { dtype: place.dtype, shape: place.shape.clone(), bytes: bytes.into() })
    }

    pub(super) fn stored_type(&self, name: &str) -> Result<StoredType, Error> {
        match self.matrix(name) {
            Some((_, place)) if !self.places.contains_key(name) => Ok(place.dtype),
            _ => self.place(name).map(|place| place.dtype),
        }
    }

    fn place(&self, name: &str) -> Result<&Place, Error> {
        self.places.get(name).ok_or_else(|| Error::NoTensor { name: name.to_owned() })
    }

    /// The numbers of a short list that belongs to the configuration, where it is there.
    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        const MOST: u64 = 1 << 14;
        let Some(place) = self.places.get(name) else { return Ok(None) };
        let (part, info) = self.find(place);
        if place.dtype != DType::F32.into() || place.shape.len() != 1 || info.bytes > MOST {
            let (name, shape) = (info.name.clone(), place.shape.clone());
            let source = GgufError::Shape { name, shape, expected: "and should be a short list of type F32" };
            return Err(Error::Gguf { path: part.file.path.clone(), source });
        }
        let read = self.read(name)?;
        Ok(Some(read.bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }

    /// The file that holds a tensor, or the first.
    pub(super) fn path(&self, name: &str) -> &Path {
        let part = self.places.get(name).map_or(0, |place| place.part);
        &self.parts[part].file.path
    }

    fn find(&self, place: &Place) -> (&Part, &TensorInfo) {
        let part = &self.parts[place.part];
        (part, &part.tensors[place.index])
    }
}

/// What an architecture is told of a type.
fn seen(dtype: StoredType) -> DType {
    match dtype {
        StoredType::Plain(dtype) => dtype,
        StoredType::Blocks(_) => DType::F16,
    }
}

fn no_memory(info: &TensorInfo) -> GgufError {
    let shape = info.dimensions.iter().rev().map(|size| usize::try_from(*size).unwrap_or(usize::MAX)).collect();
    GgufError::Shape { name: info.name.clone(), shape, expected: "more than this machine can address" }
}

fn shape(info: &TensorInfo) -> Result<Vec<usize>, GgufError> {
    let sizes = info.dimensions.iter().rev().map(|size| usize::try_from(*size));
    sizes.collect::<Result<_, _>>().map_err(|_| no_memory(info))
}

/// How the numbers of a type are stored, where something can be computed with them.
fn dtype(kind: TensorType) -> Option<StoredType> {
    Some(match kind.name()? {
        "F32" => DType::F32.into(),
        "F16" => DType::F16.into(),
        "BF16" => DType::BF16.into(),
        name => BlockType::ALL.into_iter().find(|kind| kind.name() == name)?.into(),
    })
}

fn undo(family: &Family, fields: &Fields<'_>, info: &TensorInfo) -> Result<Undo, GgufError> {
    let wrong = |expected| match shape(info) {
        Ok(shape) => GgufError::Shape { name: info.name.clone(), shape, expected },
        Err(error) => error,
    };
    if family.norms_plus_one && info.name.ends_with("norm.weight") {
        if info.kind.name() != Some("F32") {
            return Err(wrong("and should be of type F32, as the weights of all norms are"));
        }
        return Ok(Undo::PlusOne);
    }
    let [query, key] = ["attn_q", "attn_k"].map(|part| Family::is_layer_part(&info.name, &[part]));
    if !family.paired || !(query || key) {
        return Ok(Undo::Nothing);
    }
    let heads = fields.required("attention.head_count")?;
    let heads = if query { heads } else { fields.size("attention.head_count_kv")?.unwrap_or(heads) };
    let rows = info.dimensions.last().copied().unwrap_or(0);
    let heads = usize::try_from(heads).ok().filter(|heads| *heads > 0 && rows % (2 * *heads as u64) == 0);
    match heads {
        Some(heads) => Ok(Undo::Pairs { heads }),
        None => Err(wrong("and should have the same even number of rows for each head")),
    }
}

/// Rows `0 2 4 ... 1 3 5 ...` of each head, which are its two halves as they were.
fn rows_apart(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let size = bytes.len() / rows;
    let half = rows / heads / 2;
    let mut apart = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(2 * half * size) {
        for first in [0, 1] {
            for row in head.chunks_exact(size).skip(first).step_by(2) {
                apart.extend_from_slice(row);
            }
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_back_to_where_the_converter_took_them_from() {
        // `weights.reshape(heads, 2, rows / heads / 2, columns).swapaxes(1, 2)` of 2 heads with 3 pairs of rows each.
        let (heads, half) = (2, 3);
        let original: Vec<[u8; 2]> = (0..12).map(|row| [row, row + 100]).collect();
        let mut converted = Vec::new();
        for head in 0..heads {
            for pair in 0..half {
                for part in 0..2 {
                    converted.extend(original[head * 2 * half + part * half + pair]);
                }
            }
        }
        assert_eq!(rows_apart(&converted, 12, heads), original.as_flattened());
    }
}
