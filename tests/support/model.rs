//! Model folders made by hand: copies, and checkpoints taken apart and put together again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::{Map, Value, json};

use crate::root;

/// Copies the files of a folder that holds no other.
///
/// # Panics
/// Where a file cannot be copied.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

/// A folder of `tests/goldens/models`.
pub fn golden_model(name: &str) -> PathBuf {
    root().join("tests/goldens/models").join(name)
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floats {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl Floats {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    fn numbers(self, bytes: &[u8]) -> Vec<f32> {
        let two = |bytes: &[u8]| bytes.try_into().expect("2 bytes");
        match self {
            Self::F32 => {
                bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("4 bytes"))).collect()
            }
            Self::F16 => bytes.chunks_exact(2).map(|it| f16::from_le_bytes(two(it)).to_f32()).collect(),
            Self::Bf16 => bytes.chunks_exact(2).map(|it| bf16::from_le_bytes(two(it)).to_f32()).collect(),
        }
    }

    fn bytes(self, number: f32) -> Vec<u8> {
        match self {
            Self::F32 => number.to_le_bytes().to_vec(),
            Self::F16 => f16::from_f32(number).to_le_bytes().to_vec(),
            Self::Bf16 => bf16::from_f32(number).to_le_bytes().to_vec(),
        }
    }
}

/// Writes an adapter by hand, in the files of PEFT, for a square module of the attention of each layer of a Llama.
///
/// # Panics
/// Where the files cannot be written.
pub fn write_lora(folder: &Path, module: &str, layers: usize, hidden: usize) {
    let numbers = |count: usize| (0..count).map(|at| [0.7, -0.4, 0.1, 0.9, -0.8][at * 7 % 5]).collect::<Vec<f32>>();
    let mut tensors = Tensors::default();
    for layer in 0..layers {
        let name = |part: &str| format!("base_model.model.model.layers.{layer}.self_attn.{module}.{part}.weight");
        tensors.0.insert(name("lora_A"), (vec![2, hidden], numbers(2 * hidden)));
        tensors.0.insert(name("lora_B"), (vec![hidden, 2], numbers(2 * hidden)));
    }
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": [module]});
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("adapter_config.json"), config.to_string()).expect("a file");
    tensors.write(&folder.join("adapter_model.safetensors"), Floats::F32);
}

/// The tensors of a safetensors file, read and written by the format's own description rather than by the library
/// that the program uses: 8 bytes of length, a JSON header, the numbers.
#[derive(Clone, Debug, Default)]
pub struct Tensors(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors {
    /// Reads a file that holds numbers of these types only.
    ///
    /// # Panics
    /// Where it is another.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a file");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
        let data = 8 + usize::try_from(length).expect("a length");
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..data]).expect("a header");
        let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__").map(|(name, info)| {
            let floats = [Floats::F32, Floats::F16, Floats::Bf16].into_iter().find(|it| info["dtype"] == it.name());
            let floats = floats.unwrap_or_else(|| panic!("{name} holds {}", info["dtype"]));
            let shape = serde_json::from_value(info["shape"].clone()).expect("a shape");
            let [start, end]: [usize; 2] = serde_json::from_value(info["data_offsets"].clone()).expect("offsets");
            (name, (shape, floats.numbers(&bytes[data + start..data + end])))
        });
        Self(tensors.collect())
    }

    /// Writes them in a precision.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path, floats: Floats) {
        let mut header = Map::new();
        let mut data: Vec<u8> = Vec::new();
        for (name, (shape, numbers)) in &self.0 {
            let start = data.len();
            data.extend(numbers.iter().flat_map(|number| floats.bytes(*number)));
            let info = json!({"dtype": floats.name(), "shape": shape, "data_offsets": [start, data.len()]});
            header.insert(name.clone(), info);
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&data);
        fs::write(path, bytes).expect("a file");
    }
}
