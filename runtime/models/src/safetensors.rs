//! Weights in safetensors, in one file or several.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use runtime_graph::{Catalog, DType};
use runtime_tensor::{StoredTensor, StoredType};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::data_file::DataFile;
use crate::experts::Matrix;
use crate::{Error, ModelFolder, folder};

const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The tensors of a model.
#[derive(Debug)]
pub(crate) struct Safetensors {
    shards: Vec<Shard>,
    /// Which shard holds a tensor.
    tensors: BTreeMap<String, usize>,
    /// Tensors of types that nothing can be computed with, and those types.
    unusable: Vec<(String, String)>,
}

#[derive(Debug)]
struct Shard {
    file: DataFile,
    /// Where the tensors' bytes begin.
    data: u64,
    metadata: Metadata,
}

/// Bytes of a header, at most, as the format's own library has it.
const LARGEST_HEADER: u64 = 100_000_000;

/// How a file begins that Git LFS has put in the place of a large one.
const LFS_POINTER: &[u8; 8] = b"version ";

impl Safetensors {
    pub(crate) const SINGLE: &str = "model.safetensors";
    pub(crate) const INDEX: &str = "model.safetensors.index.json";

    /// Whether a folder has weights of this kind.
    pub(crate) fn are_in(folder: &Path) -> bool {
        [Self::SINGLE, Self::INDEX].iter().any(|name| folder.join(name).is_file())
    }

    /// The weight files of a folder, which need not all be there.
    pub(crate) fn files(folder: &ModelFolder) -> Result<Vec<PathBuf>, Error> {
        let single = folder.file(Self::SINGLE);
        if single.is_file() {
            return Ok(vec![single]);
        }
        let path = folder.file(Self::INDEX);
        if !path.is_file() {
            let pickle = PICKLES.iter().map(|name| folder.file(name)).find(|path| path.is_file());
            let folder = folder.path().to_owned();
            return Err(pickle.map_or(Error::NoWeights { folder }, |path| Error::Pickle { path }));
        }
        let mut files = vec![path.clone()];
        for shard in shards(&path)? {
            let inside = |component| matches!(component, Component::Normal(_));
            if shard.is_empty() || !Path::new(&shard).components().all(inside) {
                return Err(Error::Shard { path, shard });
            }
            if !shard.ends_with(".safetensors") {
                return Err(Error::Pickle { path: folder.file(&shard) });
            }
            files.push(folder.file(&shard));
        }
        Ok(files)
    }

    pub(crate) fn open(folder: &ModelFolder) -> Result<Self, Error> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new(), unusable: Vec::new() };
        let files = Self::files(folder)?;
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "safetensors")) {
            checkpoint.add(Shard::open(&path)?);
        }
        Ok(checkpoint)
    }

    /// The tensors of one file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Error> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new(), unusable: Vec::new() };
        checkpoint.add(Shard::open(path)?);
        Ok(checkpoint)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    fn add(&mut self, shard: Shard) {
        for (name, info) in shard.metadata.tensors() {
            match dtype(info) {
                Some(_) => {
                    self.tensors.insert(name, self.shards.len());
                }
                None => self.unusable.push((name, info.dtype.to_string().to_lowercase())),
            }
        }
        self.shards.push(shard);
    }

    pub(crate) fn catalog(&self, base_prefix: &str) -> Catalog {
        let tensors = self.tensors.keys().filter_map(|name| {
            let (_, info) = self.find(name)?;
            let shape: Result<Vec<u32>, _> = info.shape.iter().map(|size| u32::try_from(*size)).collect();
            Some((name.clone(), shape.ok()?, dtype(info)?))
        });
        let matrices = self.tensors.keys().flat_map(|stack| {
            let names = self.find(stack).map(|(_, info)| Matrix::names(stack, &info.shape)).unwrap_or_default();
            names.into_iter().filter_map(|name| {
                let (matrix, info) = self.matrix(&name)?;
                let shape = matrix.shape.map(|size| u32::try_from(size).ok());
                Some((name, shape.into_iter().collect::<Option<_>>()?, dtype(info)?))
            })
        });
        let own = Catalog::new(tensors, base_prefix).with_unusable(self.unusable.iter().cloned());
        own.with_tensors(matrices.filter(|(name, ..)| !self.tensors.contains_key(name)))
    }

    pub(crate) fn stored_type(&self, name: &str) -> Result<StoredType, Error> {
        let info = self.find(name).map(|(_, info)| info).or_else(|| Some(self.matrix(name)?.1));
        let dtype = info.and_then(dtype);
        Ok(dtype.ok_or_else(|| Error::NoTensor { name: name.to_owned() })?.into())
    }

    /// The shape of a tensor, and the type of its numbers.
    pub(crate) fn info(&self, name: &str) -> Option<(&[usize], DType)> {
        let (_, info) = self.find(name)?;
        Some((&info.shape, dtype(info)?))
    }

    /// The files, with the tensors of each in the order in which they are stored: their names and types, the latter as
    /// the format calls them, and those that nothing can be computed with too.
    pub(crate) fn files_with_tensors(&self) -> impl Iterator<Item = (&Path, Vec<(String, &TensorInfo)>)> {
        self.shards.iter().map(|shard| {
            let info = |name: String| shard.metadata.info(&name).map(|info| (name, info));
            (shard.file.path.as_path(), shard.metadata.offset_keys().into_iter().filter_map(info).collect())
        })
    }

    /// The bytes of a tensor as they are in a file, by the file's place.
    pub(crate) fn bytes(&self, file: usize, info: &TensorInfo) -> Result<Vec<u8>, Error> {
        self.shards[file].read(info)
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.tensors.get(name)?];
        Some((shard, shard.metadata.info(name)?))
    }

    /// The stack that the expert's matrix called `name` is in, if it is in one.
    pub(crate) fn stack_of(&self, name: &str) -> Option<String> {
        let shape_of = |stack: &str| self.find(stack).map(|(_, info)| info.shape.as_slice());
        Matrix::find(name, shape_of).map(|matrix| matrix.stack).filter(|_| !self.tensors.contains_key(name))
    }

    pub(crate) fn read(&self, name: &str) -> Result<StoredTensor<'_>, Error> {
        let missing = || Error::NoTensor { name: name.to_owned() };
        let Some((shard, info)) = self.find(name) else { return self.read_matrix(name) };
        let dtype = dtype(info).ok_or_else(missing)?;
        Ok(StoredTensor { dtype: dtype.into(), shape: info.shape.clone(), bytes: shard.read(info)?.into() })
    }
}

impl Safetensors {
    /// The matrix of an expert in a stack.
    fn matrix(&self, name: &str) -> Option<(Matrix, &TensorInfo)> {
        let matrix = Matrix::find(name, |stack| Some(self.find(stack)?.1.shape.as_slice()))?;
        let (_, info) = self.find(&matrix.stack)?;
        Some((matrix, info))
    }

    fn read_matrix(&self, name: &str) -> Result<StoredTensor<'_>, Error> {
        let missing = || Error::NoTensor { name: name.to_owned() };
        let (matrix, info) = self.matrix(name).ok_or_else(missing)?;
        let (shard, _) = self.find(&matrix.stack).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let bytes = matrix.bytes(&info.shape, (end - start) as u64);
        let length = usize::try_from(bytes.end - bytes.start).map_err(|_| missing())?;
        let bytes = shard.file.read(shard.data + start as u64 + bytes.start, length)?;
        let dtype = dtype(info).ok_or_else(missing)?;
        Ok(StoredTensor { dtype: dtype.into(), shape: matrix.shape.to_vec(), bytes: bytes.into() })
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let (mut file, found) = DataFile::open(path)?;
        let mut length = [0; size_of::<u64>()];
        let cut = |expected| Error::Cut { path: path.to_owned(), expected, found };
        if found < length.len() as u64 {
            return Err(cut(length.len() as u64));
        }
        file.read_exact(&mut length).map_err(failed)?;
        if &length == LFS_POINTER {
            return Err(Error::LfsPointer { path: path.to_owned() });
        }
        let length = u64::from_le_bytes(length);
        let data = length.saturating_add(size_of::<u64>() as u64);
        if length > LARGEST_HEADER || data > found {
            return Err(cut(data));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact(&mut header).map_err(failed)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|source| Error::Safetensors { path: path.to_owned(), source })?;
        let expected = data.saturating_add(metadata.data_len() as u64);
        if expected != found {
            return Err(cut(expected));
        }
        Ok(Self { file: DataFile::new(path, file), data, metadata })
    }

    /// The bytes of a tensor.
    fn read(&self, info: &TensorInfo) -> Result<Vec<u8>, Error> {
        let (start, end) = info.data_offsets;
        self.file.read(self.data + start as u64, end - start)
    }
}

/// The files that an index names, each once.
fn shards(path: &Path) -> Result<BTreeSet<String>, Error> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = folder::read(path)?;
    let index: Index = serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    Ok(index.weight_map.into_values().collect())
}

pub(crate) fn dtype(info: &TensorInfo) -> Option<DType> {
    match info.dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
