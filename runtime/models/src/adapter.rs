//! LoRA adapters: small matrices beside a model's weights, in the files of PEFT.
//!
//! An adapter changes a weight `W` to `W + scale B A`; with DoRA the rows of that are given the lengths that it stores. It
//! may also bring whole tensors. All of that happens to each tensor when it is read, so that a model with an adapter
//! costs no more to run than without. The files are those of `peft.LoraConfig` and `peft.tuners.lora`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime_graph::DType;
use runtime_tensor::{StoredTensor, StoredType, Weights};
use serde::Deserialize;

use crate::{Checkpoint, Error, ModelFolder};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before the names of a model's modules.
const PREFIX: &str = "base_model.model.";

/// An adapter's folder, read.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    checkpoint: Checkpoint,
    settings: Settings,
    /// The tensors of each module, by the module's name.
    modules: BTreeMap<String, Module>,
}

/// The parts of `adapter_config.json` that matter once it is trained.
#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(default)]
    peft_type: String,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    base_model_name_or_path: Option<String>,
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
    /// Tensors that replace the model's, by the last part of their names.
    whole: BTreeMap<String, String>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Adapter {
    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// Where one is missing or damaged, or the adapter is of a kind that is not known.
    pub fn open(folder: &ModelFolder) -> Result<Self, Error> {
        let path = folder.file(CONFIG);
        let settings = folder.json(CONFIG)?.ok_or_else(|| Error::NoAdapter { folder: folder.path().to_owned() })?;
        let settings: Settings =
            serde_json::from_value(settings).map_err(|source| Error::Json { path: path.clone(), source })?;
        let refused = |reason: String| Error::Adapter { path: path.clone(), reason };
        if settings.peft_type != "LORA" {
            return Err(refused(format!("its `peft_type` is `{}`, and only LORA is known", settings.peft_type)));
        }
        let checkpoint = Checkpoint::of_file(&folder.file(WEIGHTS))?;
        let mut modules = BTreeMap::<String, Module>::new();
        for name in checkpoint.names() {
            let inner = name.strip_prefix(PREFIX).unwrap_or(name);
            let parts = [".lora_A", ".lora_B", ".lora_embedding_A", ".lora_embedding_B", ".lora_magnitude_vector"];
            let Some((place, part)) = parts.iter().find_map(|part| Some((inner.find(part)?, *part))) else {
                let (module, last) = inner.rsplit_once('.').unwrap_or(("", inner));
                let module = modules.entry(module.to_owned()).or_default();
                module.whole.insert(last.to_owned(), name.to_owned());
                continue;
            };
            let module = modules.entry(inner[..place].to_owned()).or_default();
            let slot = match (part, inner[place..].ends_with(".bias")) {
                (".lora_B", true) => &mut module.b_bias,
                (".lora_magnitude_vector", _) => &mut module.magnitude,
                (".lora_A" | ".lora_embedding_A", _) => &mut module.a,
                _ => &mut module.b,
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
            None => Ok(Self { path: folder.path().to_owned(), checkpoint, settings, modules }),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model that it was trained on, as it names it.
    pub fn base_model(&self) -> Option<&str> {
        self.settings.base_model_name_or_path.as_deref()
    }

    /// Every file that it is made of: what to watch, and what identifies it.
    pub fn files(folder: &ModelFolder) -> [PathBuf; 2] {
        [folder.file(CONFIG), folder.file(WEIGHTS)]
    }

    fn numbers(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let tensor = self.checkpoint.read(name)?;
        let numbers = tensor.to_f32();
        Ok((tensor.shape, numbers))
    }

    /// The factor of a module's matrices, of rank `rank`.
    fn scale(&self, module: &str, rank: usize) -> f64 {
        let named = |pattern: &str| module == pattern || module.ends_with(&format!(".{pattern}"));
        let alpha = self.settings.alpha_pattern.iter().find(|(pattern, _)| named(pattern)).map(|(_, alpha)| *alpha);
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = rank as f64;
        alpha.unwrap_or(self.settings.lora_alpha) / if self.settings.use_rslora { rank.sqrt() } else { rank }
    }
}

/// The weights of a model with those of an adapter.
#[derive(Debug)]
pub struct Adapted<'a> {
    base: &'a Checkpoint,
    adapter: &'a Adapter,
    /// The adapter's module for the model's.
    modules: BTreeMap<String, &'a str>,
}

impl<'a> Adapted<'a> {
    /// Puts an adapter on a model's weights.
    ///
    /// # Errors
    /// Where it is for a module that the model does not have.
    pub fn new(base: &'a Checkpoint, adapter: &'a Adapter) -> Result<Self, Error> {
        let known: BTreeMap<&str, ()> =
            base.names().into_iter().filter_map(|name| Some((name.rsplit_once('.')?.0, ()))).collect();
        let mut modules = BTreeMap::new();
        for module in adapter.modules.keys() {
            // A checkpoint of the bare model has names without its prefix, one of a larger model has more.
            let shorter = module.split_once('.').map(|(_, rest)| rest).filter(|rest| known.contains_key(*rest));
            let longer = || known.keys().copied().find(|name| name.ends_with(&format!(".{module}")));
            let found = known.get_key_value(module.as_str()).map(|(name, ())| *name).or(shorter).or_else(longer);
            let Some(found) = found else {
                let reason = format!("it is for `{module}`, which the model does not have");
                return Err(Error::Adapter { path: adapter.path.clone(), reason });
            };
            modules.insert(found.to_owned(), module.as_str());
        }
        Ok(Self { base, adapter, modules })
    }

    /// Whether the adapter changes a tensor.
    fn changes(&self, name: &str) -> bool {
        let Some((module, last)) = name.rsplit_once('.') else { return false };
        let Some(parts) = self.modules.get(module).map(|named| &self.adapter.modules[*named]) else { return false };
        let added = match last {
            "weight" => parts.a.is_some() && parts.b.is_some(),
            "bias" => parts.b_bias.is_some() && parts.a.is_some() && parts.b.is_some(),
            _ => false,
        };
        added || parts.whole.contains_key(last)
    }

    /// What becomes of a tensor, where the adapter changes it.
    fn changed(&self, name: &str, stored: &StoredTensor<'_>) -> Result<Option<Vec<f32>>, Failure> {
        let Some((module, last)) = name.rsplit_once('.') else { return Ok(None) };
        let Some(named) = self.modules.get(module) else { return Ok(None) };
        let parts = &self.adapter.modules[*named];
        let mut numbers = match parts.whole.get(last) {
            Some(whole) => {
                let (shape, numbers) = self.adapter.numbers(whole)?;
                fit(name, &stored.shape, &shape)?;
                Some(numbers)
            }
            None => None,
        };
        let (Some(a), Some(b)) = (&parts.a, &parts.b) else { return Ok(numbers) };
        let ((a_shape, a), (b_shape, b)) = (self.adapter.numbers(a)?, self.adapter.numbers(b)?);
        let ([rank, inputs], [outputs, b_rank]) = (a_shape.as_slice(), b_shape.as_slice()) else {
            return Err(format!("the adapter's matrices for `{named}` are not matrices").into());
        };
        if rank != b_rank {
            return Err(format!("the adapter's matrices for `{named}` have the ranks {rank} and {b_rank}").into());
        }
        let scale = self.adapter.scale(named, *rank);
        match (last, &parts.b_bias) {
            ("bias", Some(bias)) => {
                let (shape, bias) = self.adapter.numbers(bias)?;
                fit(name, &stored.shape, &shape)?;
                let numbers = numbers.get_or_insert_with(|| stored.to_f32());
                numbers.iter_mut().zip(bias).for_each(|(number, bias)| *number += narrow(scale * f64::from(bias)));
            }
            ("weight", _) => {
                // Tables and the weights of `Conv1D` are stored the other way round.
                let transposed = parts.table || self.adapter.settings.fan_in_fan_out;
                let shape = if transposed { [*inputs, *outputs] } else { [*outputs, *inputs] };
                fit(name, &stored.shape, &shape)?;
                let numbers = numbers.get_or_insert_with(|| stored.to_f32());
                add_product(numbers, &a, &b, [*outputs, *rank, *inputs], scale, transposed);
                if let Some(magnitude) = &parts.magnitude {
                    let (_, lengths) = self.adapter.numbers(magnitude)?;
                    set_lengths(numbers, &lengths, *inputs, transposed);
                }
            }
            _ => {}
        }
        Ok(numbers)
    }
}

impl Weights for Adapted<'_> {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Failure> {
        let stored = self.base.read(name)?;
        let Some(numbers) = self.changed(name, &stored)? else { return Ok(stored) };
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(StoredTensor { dtype: DType::F32.into(), shape: stored.shape, bytes: bytes.into() })
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Failure> {
        if self.changes(name) { Ok(DType::F32.into()) } else { self.base.stored_type(name) }
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

/// Adds `scale b a`, with `a [rank, inputs]` and `b [outputs, rank]`, to `to [outputs, inputs]` or its transpose.
fn add_product(
    to: &mut [f32],
    a: &[f32],
    b: &[f32],
    [outputs, rank, inputs]: [usize; 3],
    scale: f64,
    transposed: bool,
) {
    let mut row = vec![0.0_f64; inputs];
    for output in 0..outputs {
        row.fill(0.0);
        for (b, a) in b[output * rank..(output + 1) * rank].iter().zip(a.chunks_exact(inputs)) {
            row.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*b) * f64::from(*a));
        }
        for (input, sum) in row.iter().enumerate() {
            let place = if transposed { input * outputs + output } else { output * inputs + input };
            to[place] = narrow(f64::from(to[place]) + scale * sum);
        }
    }
}

/// Gives the weights of each output the length that DoRA stores for it.
fn set_lengths(weights: &mut [f32], lengths: &[f32], inputs: usize, transposed: bool) {
    let outputs = lengths.len();
    for (output, length) in lengths.iter().enumerate() {
        let place = |input: usize| if transposed { input * outputs + output } else { output * inputs + input };
        let squares: f64 = (0..inputs).map(|input| f64::from(weights[place(input)]).powi(2)).sum();
        let factor = f64::from(*length) / squares.sqrt();
        (0..inputs).for_each(|input| weights[place(input)] = narrow(f64::from(weights[place(input)]) * factor));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights have single precision")]
fn narrow(number: f64) -> f32 {
    number as f32
}
