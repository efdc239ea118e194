//! Writes a model's folder anew, with an adapter merged into the weights.
//!
//! Each weight is read, changed and written by itself, in the type in which it was stored, so that no more than one is
//! held. The files are those of the model: the same tensors in the same files, beside all that is no checkpoint. They are
//! written under another name first, so that a folder of the asked name is whole.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use runtime_graph::DType;
use runtime_tensor::{StoredTensor, StoredType, Weights};
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value, json};

use crate::safetensors::{Safetensors, dtype};
use crate::{Adapted, Adapter, Error, ModelFolder};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Tensors in all.
    pub tensors: usize,
    /// Those that the adapter has changed or brought.
    pub changed: usize,
    /// Bytes of the weights.
    pub bytes: u64,
}

/// Writes the model of `folder` with an adapter into the new folder `out`; with `stored`, all weights in that type.
///
/// # Errors
/// Where `out` is there already, the adapter does not fit the model, or a file cannot be read or written.
pub fn merge(folder: &ModelFolder, adapter: &Adapter, stored: Option<DType>, out: &Path) -> Result<Merged, Error> {
    let checkpoint = folder.checkpoint()?;
    let base = checkpoint.safetensors().ok_or_else(|| Error::MergeGguf { path: folder.path().to_owned() })?;
    let adapted = Adapted::new(&checkpoint, adapter)?;
    if out.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: out.to_owned() });
    }
    let beside = beside(out);
    fs::create_dir_all(&beside).map_err(|source| Error::Write { path: beside.clone(), source })?;
    let written = Writer { folder, base, adapted, stored, out: &beside }.write();
    let placed = written.and_then(|merged| match fs::rename(&beside, out) {
        Ok(()) => Ok(merged),
        Err(source) => Err(Error::Write { path: out.to_owned(), source }),
    });
    if placed.is_err() {
        // What is half written is of no use; where it stays, that does no harm.
        let _left = fs::remove_dir_all(&beside);
    }
    placed
}

/// Where a folder is written before it has its name.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or(OsStr::new("merged")).to_owned();
    name.push(format!(".{}.part", std::process::id()));
    out.with_file_name(name)
}

struct Writer<'a> {
    folder: &'a ModelFolder,
    base: &'a Safetensors,
    adapted: Adapted<'a>,
    stored: Option<DType>,
    out: &'a Path,
}

/// A tensor that is to be written.
struct Piece<'a> {
    name: String,
    /// As the base has it; `None` where the adapter brings it.
    base: Option<&'a TensorInfo>,
    shape: Vec<usize>,
    /// The name of its type, and the type where it is one that can be computed with.
    kind: (String, Option<DType>),
    bytes: usize,
}

impl Writer<'_> {
    fn write(&self) -> Result<Merged, Error> {
        let mut merged = Merged { tensors: 0, changed: 0, bytes: 0 };
        let files: Vec<(&Path, Vec<(String, &TensorInfo)>)> = self.base.files_with_tensors().collect();
        let last = files.len().saturating_sub(1);
        let mut brought = None;
        for (place, (path, tensors)) in files.into_iter().enumerate() {
            let mut pieces: Vec<Piece<'_>> = tensors.into_iter().map(|(name, info)| self.piece(name, info)).collect();
            if place == last {
                for name in self.adapted.more() {
                    pieces.push(self.brought(name)?);
                }
                brought = path.file_name();
            }
            // A shard may lie in a folder of its own.
            let inside = path.strip_prefix(self.folder.path()).unwrap_or(path);
            self.write_file(place, inside, &pieces)?;
            merged.tensors += pieces.len();
            merged.changed += pieces.iter().filter(|piece| self.changes(piece)).count();
            merged.bytes += pieces.iter().map(|piece| piece.bytes as u64).sum::<u64>();
        }
        self.write_index(brought.unwrap_or_default(), merged.bytes)?;
        self.copy_others()?;
        self.write_config()?;
        Ok(merged)
    }

    fn changes(&self, piece: &Piece<'_>) -> bool {
        piece.base.is_none() || self.adapted.changes(&piece.name)
    }

    fn piece<'a>(&self, name: String, info: &'a TensorInfo) -> Piece<'a> {
        let of = dtype(info).map(|dtype| self.stored.unwrap_or(dtype));
        let (start, end) = info.data_offsets;
        let bytes = of.map_or(end - start, |of| info.shape.iter().product::<usize>() * of.size());
        let kind = of.map_or_else(|| info.dtype.to_string(), |of| of.name().to_uppercase());
        Piece { name, base: Some(info), shape: info.shape.clone(), kind: (kind, of), bytes }
    }

    fn brought(&self, name: &str) -> Result<Piece<'static>, Error> {
        let tensor = self.read(name)?;
        let of = match (self.stored, tensor.dtype) {
            (Some(stored), _) | (None, StoredType::Plain(stored)) => stored,
            (None, StoredType::Blocks(_)) => DType::F32,
        };
        let bytes = tensor.shape.iter().product::<usize>() * of.size();
        let kind = (of.name().to_uppercase(), Some(of));
        Ok(Piece { name: name.to_owned(), base: None, shape: tensor.shape, kind, bytes })
    }

    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Error> {
        self.adapted.read(name).map_err(|source| Error::Merge { name: name.to_owned(), source })
    }

    /// Writes tensors by the format's own description: 8 bytes of length, a JSON header, the numbers.
    fn write_file(&self, place: usize, inside: &Path, pieces: &[Piece<'_>]) -> Result<(), Error> {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
        let mut end = 0;
        for piece in pieces {
            let (start, kind) = (end, &piece.kind.0);
            end += piece.bytes;
            let info = json!({"dtype": kind, "shape": piece.shape, "data_offsets": [start, end]});
            header.insert(piece.name.clone(), info);
        }
        let mut header = Value::Object(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let path = self.out.join(inside);
        let failed = |source| Error::Write { path: path.clone(), source };
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).map_err(failed)?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        file.write_all(header.as_bytes()).map_err(failed)?;
        for piece in pieces {
            file.write_all(&self.bytes(place, piece)?).map_err(failed)?;
        }
        file.flush().map_err(failed)
    }

    /// The bytes of a tensor as it is written; as it was, where nothing changes it.
    fn bytes(&self, place: usize, piece: &Piece<'_>) -> Result<Vec<u8>, Error> {
        let Some(to) = piece.kind.1 else {
            return piece.base.map_or(Ok(Vec::new()), |info| self.base.bytes(place, info));
        };
        let tensor = self.read(&piece.name)?;
        if tensor.dtype == StoredType::Plain(to) {
            return Ok(tensor.bytes.into_owned());
        }
        let numbers = tensor.to_f32();
        let too_large = |number: &f32| number.is_finite() && f16::from_f32(*number).is_infinite();
        if let (DType::F16, Some(number)) = (to, numbers.iter().find(|number| too_large(number))) {
            return Err(Error::TooLargeForHalf { name: piece.name.clone(), number: *number });
        }
        Ok(match to {
            DType::F32 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            DType::F16 => numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
            DType::BF16 => numbers.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect(),
        })
    }

    /// The index of a checkpoint in several files, with what the adapter brings in `brought`.
    fn write_index(&self, brought: &OsStr, bytes: u64) -> Result<(), Error> {
        let Some(mut index) = self.folder.json(Safetensors::INDEX)?.filter(|_| !self.is_single()) else {
            return Ok(());
        };
        if let Some(map) = index.get_mut("weight_map").and_then(Value::as_object_mut) {
            let brought = brought.to_string_lossy().into_owned();
            map.extend(self.adapted.more().map(|name| (name.to_owned(), Value::from(brought.clone()))));
        }
        if let Some(total) = index.get_mut("metadata").and_then(|metadata| metadata.get_mut("total_size")) {
            *total = bytes.into();
        }
        self.write_json(Safetensors::INDEX, &index)
    }

    fn is_single(&self) -> bool {
        self.folder.file(Safetensors::SINGLE).is_file()
    }

    /// `config.json`, which names the type of the weights.
    fn write_config(&self) -> Result<(), Error> {
        let (Some(stored), Some(mut config)) = (self.stored, self.folder.json("config.json")?) else { return Ok(()) };
        let name = match stored {
            DType::F32 => "float32",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
        };
        if let Some(fields) = config.as_object_mut() {
            let known: Vec<&str> =
                ["dtype", "torch_dtype"].into_iter().filter(|key| fields.contains_key(*key)).collect();
            for key in if known.is_empty() { vec!["dtype"] } else { known } {
                fields.insert(key.to_owned(), name.into());
            }
        }
        self.write_json("config.json", &config)
    }

    fn write_json(&self, name: &str, value: &Value) -> Result<(), Error> {
        let path = self.out.join(name);
        fs::write(&path, format!("{value:#}\n")).map_err(|source| Error::Write { path, source })
    }

    /// Copies what is no checkpoint of the model.
    fn copy_others(&self) -> Result<(), Error> {
        let weights = Safetensors::files(self.folder)?;
        copy(self.folder.path(), self.out, &|path, top| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let other_form = OTHER_FORMS.contains(&ending.as_str()) || OTHER_FOLDERS.contains(&&*name);
            !(name.starts_with('.') || weights.iter().any(|weight| weight == path) || top && other_form)
        })
    }
}

/// Endings of checkpoints in other forms, which the adapter is not merged into.
const OTHER_FORMS: [&str; 9] = ["bin", "gguf", "h5", "msgpack", "onnx", "ot", "pt", "pth", "safetensors"];

/// Folders of such checkpoints.
const OTHER_FOLDERS: [&str; 4] = ["coreml", "onnx", "openvino", "original"];

/// Copies the files of a folder that `is_wanted`, and those of its folders; links are followed.
fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&Path, bool) -> bool) -> Result<(), Error> {
    copy_level(from, to, is_wanted, true)
}

fn copy_level(from: &Path, to: &Path, is_wanted: &dyn Fn(&Path, bool) -> bool, top: bool) -> Result<(), Error> {
    let unreadable = |source| Error::Read { path: from.to_owned(), source };
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !is_wanted(&path, top) {
            continue;
        }
        let copy = to.join(path.file_name().unwrap_or_default());
        let failed = |source: io::Error| Error::Write { path: copy.clone(), source };
        if path.is_dir() {
            fs::create_dir_all(&copy).map_err(failed)?;
            copy_level(&path, &copy, is_wanted, false)?;
        } else if path.is_file() {
            fs::copy(&path, &copy).map_err(failed)?;
        }
    }
    Ok(())
}
