//! A whole header: keys with their values, and the places of tensors.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufReader, Read};

use crate::reader::Reader;
use crate::tensor::{MOST_DIMENSIONS, TensorInfo, TensorType, bytes};
use crate::{Error, Value};

/// Keys and their values.
pub type Metadata = BTreeMap<String, Value>;

/// What stands before the tensors' bytes.
#[derive(Clone, Debug)]
pub struct Header {
    /// Keys and their values.
    pub metadata: Metadata,
    /// The tensors, in the order of the file.
    pub tensors: Vec<TensorInfo>,
}

const MAGIC: u32 = u32::from_le_bytes(*b"GGUF");

/// Bytes of alignment where a file does not say it.
const ALIGNMENT: u64 = 32;
const MOST_ALIGNMENT: u64 = 1 << 16;

/// Bytes of a key with its value, at least: the length of its name, a type, and a byte.
const LEAST_KEY: u64 = 8 + 4 + 1;
/// Bytes of a tensor's place, at least: the length of its name, the number of dimensions, its type and its offset.
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;

impl Header {
    /// Bytes that a header may have. The largest known ones, of models with 262,144 tokens, have 16 MB.
    pub const LARGEST: u64 = 96 << 20;

    /// The header at the start of a file of `length` bytes.
    ///
    /// # Errors
    /// Where the file is no GGUF, is cut off, or says what cannot be.
    pub fn read(file: impl Read, length: u64) -> Result<Self, Error> {
        let mut reader = Reader::new(BufReader::new(file), length, Self::LARGEST);
        if reader.u32("the first four bytes")? != MAGIC {
            return Err(Error::Magic);
        }
        match reader.u32("the version")? {
            2 | 3 => {}
            version if matches!(version.swap_bytes(), 1..=3) => return Err(Error::BigEndian),
            version => return Err(Error::Version { version }),
        }
        // Their counts both come first, so that the one of tensors is checked before it is known how many bytes the
        // keys take.
        let tensors = reader.count("the list of tensors", LEAST_TENSOR)?;
        let keys = reader.count("the list of keys", LEAST_KEY)?;
        let metadata = metadata(&mut reader, keys)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = (0..tensors).map(|_| tensor(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let mut names = HashSet::new();
        if let Some(again) = tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
            return Err(Error::Twice { what: "the tensor", name: again.name.clone() });
        }
        place(&mut tensors, reader.at().next_multiple_of(alignment), alignment, length)?;
        Ok(Self { metadata, tensors })
    }
}

fn metadata<R: Read>(reader: &mut Reader<R>, keys: usize) -> Result<Metadata, Error> {
    let mut metadata = Metadata::new();
    for _ in 0..keys {
        let key = reader.text("a key")?;
        let value = reader.value()?;
        if metadata.contains_key(&key) {
            return Err(Error::Twice { what: "the key", name: key });
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn alignment(metadata: &Metadata) -> Result<u64, Error> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(ALIGNMENT) };
    let bytes = match value {
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        _ => None,
    };
    bytes.filter(|bytes| bytes.is_power_of_two() && *bytes <= MOST_ALIGNMENT).ok_or(Error::Alignment)
}

/// A tensor, its offset as the file has it.
fn tensor<R: Read>(reader: &mut Reader<R>) -> Result<TensorInfo, Error> {
    const WHAT: &str = "the place of a tensor";
    let name = reader.text("the name of a tensor")?;
    let count = reader.u32(WHAT)?;
    if count == 0 || count > MOST_DIMENSIONS {
        let expected = "and a tensor has 1 to 4 of them";
        return Err(Error::Dimensions { name, dimensions: vec![0; count.min(MOST_DIMENSIONS + 1) as usize], expected });
    }
    let dimensions = (0..count).map(|_| reader.u64(WHAT)).collect::<Result<Vec<_>, _>>()?;
    let kind = TensorType::new(reader.u32(WHAT)?);
    let bytes = bytes(&name, &dimensions, kind)?;
    Ok(TensorInfo { name, dimensions, kind, offset: reader.u64(WHAT)?, bytes })
}

/// Makes offsets those of the file, whose tensors begin at `data`. None may lie outside, or in another.
fn place(tensors: &mut [TensorInfo], data: u64, alignment: u64, length: u64) -> Result<(), Error> {
    let wrong = |tensor: &TensorInfo, wrong: String| {
        let (name, offset, bytes) = (tensor.name.clone(), tensor.offset, tensor.bytes);
        Error::Place { name, offset, bytes, wrong }
    };
    for tensor in tensors.iter() {
        if tensor.offset % alignment != 0 {
            return Err(wrong(tensor, format!("does not begin at a multiple of {alignment} bytes")));
        }
        let end = data.checked_add(tensor.offset).and_then(|start| start.checked_add(tensor.bytes));
        if end.is_none_or(|end| end > length) {
            return Err(wrong(tensor, format!("reaches beyond the end of the file, which has {length} bytes")));
        }
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().filter(|tensor| tensor.bytes > 0).collect();
    order.sort_by_key(|tensor| tensor.offset);
    for pair in order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            return Err(wrong(pair[1], format!("lies in `{}`", pair[0].name)));
        }
    }
    for tensor in tensors {
        tensor.offset += data;
    }
    Ok(())
}
