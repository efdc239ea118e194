//! LoRA adapters: small matrices beside a model's weights, in the files of PEFT.
//!
//! An adapter changes a weight `W` to `W + scale B A`; with DoRA the rows of that are given the lengths that it stores. It
//! may also bring whole tensors, or rows of a table. All of that happens to each tensor when it is read, so that a model
//! with an adapter costs no more to run than without; or, where an adapter is nothing but matrices, beside the weights, so
//! that one loaded model has many. The files are those of `peft.LoraConfig` and `peft.tuners.lora`.

mod adapted;
mod arithmetic;
mod beside;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::safetensors::Safetensors;
use crate::{Error, ModelFolder};
use settings::Settings;

pub use adapted::Adapted;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PICKLE: &str = "adapter_model.bin";
/// What PEFT puts before the names of a model's modules.
const PREFIX: &str = "base_model.model.";

/// An adapter's folder, read.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    tensors: Safetensors,
    settings: Settings,
    /// The tensors of each module, by the module's name.
    modules: BTreeMap<String, Module>,
}

/// Names of an adapter's tensors for a module.
#[derive(Debug, Default)]
struct Module {
    a: Option<String>,
    b: Option<String>,
    b_bias: Option<String>,
    magnitude: Option<String>,
    /// Whether it is a table whose rows are looked up.
    table: bool,
    /// Rows that replace those of a table.
    rows: Option<String>,
    /// Tensors that replace the model's, by the last part of their names.
    whole: BTreeMap<String, String>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the tensors of a module are called behind its name.
const PARTS: [&str; 6] = [
    ".lora_A",
    ".lora_B",
    ".lora_embedding_A",
    ".lora_embedding_B",
    ".lora_magnitude_vector",
    ".token_adapter.trainable_tokens_delta",
];

impl Adapter {
    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// Where one is missing or damaged, or the adapter is of a kind that is not known.
    pub fn open(folder: &ModelFolder) -> Result<Self, Error> {
        let path = folder.file(CONFIG);
        let settings = folder.json(CONFIG)?.ok_or_else(|| Error::NoAdapter { folder: folder.path().to_owned() })?;
        let refused = |reason: String| Error::Adapter { path: path.clone(), reason };
        let settings = Settings::read(settings, &path)?;
        if !folder.file(WEIGHTS).is_file() && folder.file(PICKLE).is_file() {
            return Err(Error::Pickle { path: folder.file(PICKLE) });
        }
        let tensors = Safetensors::of_file(&folder.file(WEIGHTS))?;
        let mut modules = BTreeMap::<String, Module>::new();
        for name in tensors.names() {
            let inner = name.strip_prefix(PREFIX).unwrap_or(name);
            let Some((place, part)) = PARTS.iter().find_map(|part| Some((inner.find(part)?, *part))) else {
                let (module, last) = inner.rsplit_once('.').unwrap_or(("", inner));
                // Of a module with matrices, its own tensors lie one level deeper.
                let module = module.strip_suffix(".base_layer").unwrap_or(module);
                modules.entry(module.to_owned()).or_default().whole.insert(last.to_owned(), name.to_owned());
                continue;
            };
            let module = modules.entry(inner[..place].to_owned()).or_default();
            let slot = match (part, inner[place..].ends_with(".bias")) {
                (".lora_B", true) => &mut module.b_bias,
                (".lora_magnitude_vector", _) => &mut module.magnitude,
                (".lora_A" | ".lora_embedding_A", _) => &mut module.a,
                (".lora_B" | ".lora_embedding_B", _) => &mut module.b,
                _ => &mut module.rows,
            };
            *slot = Some(name.to_owned());
            module.table |= part.starts_with(".lora_embedding");
        }
        if modules.is_empty() {
            return Err(refused(format!("`{WEIGHTS}` holds no tensor")));
        }
        let half = modules.iter().find(|(_, module)| module.a.is_some() != module.b.is_some());
        match half {
            Some((name, _)) => Err(refused(format!("`{WEIGHTS}` holds only one of the two matrices of `{name}`"))),
            None => Ok(Self { path: folder.path().to_owned(), tensors, settings, modules }),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model that it was trained on, as it names it.
    pub fn base_model(&self) -> Option<&str> {
        self.settings.base_model.as_deref()
    }

    /// Every file that it is made of: what to watch, and what identifies it.
    pub fn files(folder: &ModelFolder) -> [PathBuf; 2] {
        [folder.file(CONFIG), folder.file(WEIGHTS)]
    }

    fn refused(&self, reason: String) -> Error {
        Error::Adapter { path: self.path.clone(), reason }
    }

    /// A tensor of its own, and its shape.
    fn numbers(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let tensor = self.tensors.read(name)?;
        let numbers = tensor.to_f32();
        Ok((tensor.shape, numbers))
    }

    /// A tensor of its own for one of the model's, whose shape it must have.
    fn numbers_for(&self, name: &str, of: &str, shape: &[usize]) -> Result<Vec<f32>, Failure> {
        let (found, numbers) = self.numbers(name)?;
        fit(of, shape, &found)?;
        Ok(numbers)
    }
}

fn fit(name: &str, expected: &[usize], found: &[usize]) -> Result<(), Failure> {
    match expected == found {
        true => Ok(()),
        false => {
            Err(format!("the adapter has the shape {found:?} for `{name}`, and the model has {expected:?}").into())
        }
    }
}
