//! Files of safetensors, one or several with an index: opened and read to the last tensor, or refused.
//!
//! The first byte chooses: 0, the rest is a file; 1, it is the index of two files; else it is the header of a file whose
//! tensors are zeros, as many as the header claims, if these are few.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_fuzz::{Scratch, parts};
use runtime_models::ModelFolder;
use runtime_tensor::Weights;
use safetensors::tensor::Metadata;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("safetensors"));

/// Bytes of tensors that are read.
const FEW: usize = 1 << 20;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A file of a header and the zeros that it claims.
fn write(name: &str, header: &[u8]) {
    let claimed = serde_json::from_slice(header).map_or(0, |metadata: Metadata| metadata.data_len());
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    let length = (claimed <= FEW).then_some((bytes.len() + claimed) as u64);
    SCRATCH.write(name, &bytes, length);
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    for name in [SINGLE, INDEX] {
        SCRATCH.remove(name);
    }
    match kind {
        0 => _ = SCRATCH.write(SINGLE, bytes, None),
        1 => {
            let [index, first, second] = parts(bytes);
            SCRATCH.write(INDEX, index, None);
            write("1.safetensors", first);
            write("2.safetensors", second);
        }
        _ => write(SINGLE, bytes),
    }
    let folder = ModelFolder::new(SCRATCH.path());
    for file in folder.files() {
        assert!(file.starts_with(SCRATCH.path()), "{} is outside of the folder", file.display());
    }
    let Ok(checkpoint) = folder.checkpoint() else { return };
    let catalog = checkpoint.catalog("bert");
    for name in checkpoint.names() {
        let info = catalog.find(name);
        let Ok(tensor) = checkpoint.read(name) else { continue };
        let numbers: usize = tensor.shape.iter().product();
        assert_eq!(tensor.to_f32().len(), numbers, "{name}");
        let known = |size: &u32| *size as usize;
        assert!(info.is_some_and(|info| info.shape.iter().map(known).eq(tensor.shape.iter().copied())), "{name}");
    }
});
