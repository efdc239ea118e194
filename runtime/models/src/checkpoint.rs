//! Weights in safetensors, mapped into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;
use runtime_graph::{Catalog, DType};
use runtime_tensor::{StoredTensor, Weights};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::folder::ModelFolder;
use crate::{Error, folder, pages};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The tensors of a model, in one file or several.
#[derive(Debug)]
pub struct Checkpoint {
    shards: Vec<Shard>,
    /// Which shard holds a tensor.
    tensors: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    map: Mmap,
    /// Where the tensors' bytes begin.
    data: usize,
    metadata: Metadata,
}

impl Checkpoint {
    /// The weight files of a folder, which need not all be there.
    pub(crate) fn files(folder: &ModelFolder) -> Result<Vec<PathBuf>, Error> {
        let single = folder.file(SINGLE);
        if single.is_file() {
            return Ok(vec![single]);
        }
        let path = folder.file(INDEX);
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
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        let files = Self::files(folder)?;
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "safetensors")) {
            let shard = Shard::open(&path)?;
            let index = checkpoint.shards.len();
            let usable = shard.metadata.tensors().into_iter().filter(|(_, info)| dtype(info).is_some());
            checkpoint.tensors.extend(usable.map(|(name, _)| (name, index)));
            checkpoint.shards.push(shard);
        }
        Ok(checkpoint)
    }

    /// What an architecture gets to see: names, shapes and types.
    pub fn catalog(&self, base_prefix: &str) -> Catalog {
        let tensors = self.tensors.keys().filter_map(|name| {
            let (_, info) = self.find(name)?;
            let shape: Result<Vec<u32>, _> = info.shape.iter().map(|size| u32::try_from(*size)).collect();
            Some((name.clone(), shape.ok()?, dtype(info)?))
        });
        Catalog::new(tensors, base_prefix)
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.tensors.get(name)?];
        Some((shard, shard.metadata.info(name)?))
    }
}

impl Weights for Checkpoint {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        let missing = || Error::NoTensor { name: name.to_owned() };
        let (shard, info) = self.find(name).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let bytes = &shard.map[shard.data + start..shard.data + end];
        let dtype = dtype(info).ok_or_else(missing)?;
        Ok(StoredTensor { dtype, shape: info.shape.clone(), bytes: bytes.into() })
    }

    fn done(&self, name: &str) {
        if let Some((shard, info)) = self.find(name) {
            let (start, end) = info.data_offsets;
            pages::give_back(&shard.map, shard.data + start..shard.data + end);
        }
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        // SAFETY: the map is read-only, and lives only while weights are copied out of it. A file that is cut off in
        // that time would end the process, which no check can rule out: replace a model by renaming, not in place.
        #[expect(unsafe_code, reason = "memory maps are unsafe by nature")]
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        let damaged = |source| Error::Safetensors { path: path.to_owned(), source };
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(damaged)?;
        let data = header + size_of::<u64>();
        if data + metadata.data_len() != map.len() {
            return Err(damaged(safetensors::SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok(Self { map, data, metadata })
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

fn dtype(info: &TensorInfo) -> Option<DType> {
    match info.dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
