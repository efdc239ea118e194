//! The weights of a model with those of an adapter.

use std::collections::{BTreeMap, BTreeSet};

use runtime_graph::{Catalog, DType};
use runtime_tensor::{StoredTensor, StoredType, Weights};

use super::arithmetic::{Layout, add_product, add_scaled, set_lengths};
use super::{Adapter, Failure, Module, fit};
use crate::{Checkpoint, Error};

/// The modules of GPT-2 whose weights are stored as inputs by outputs (`Conv1D` in transformers).
const CONV1D: [&str; 4] = ["c_attn", "c_fc", "c_proj", "q_attn"];

/// The weights of a model with those of an adapter.
#[derive(Debug)]
pub struct Adapted<'a> {
    pub(super) base: &'a Checkpoint,
    pub(super) adapter: &'a Adapter,
    /// The adapter's module for the model's.
    pub(super) modules: BTreeMap<String, &'a str>,
    /// Tensors that the adapter brings and the model does not have, by their own names.
    more: BTreeMap<String, &'a str>,
    /// Whether the model is of the kind that has [`CONV1D`].
    has_conv1d: bool,
}

/// `scale b a`, for a weight in a layout.
pub(super) struct Matrices {
    pub(super) rank: usize,
    pub(super) layout: Layout,
    pub(super) scale: f64,
    /// `[rank, inputs]`
    pub(super) a: Vec<f32>,
    /// `[outputs, rank]`
    pub(super) b: Vec<f32>,
}

impl Matrices {
    pub(super) fn add_to(&self, weights: &mut [f32]) {
        add_product(weights, self.layout, &self.a, &self.b, self.scale);
    }
}

impl<'a> Adapted<'a> {
    /// Puts an adapter on a model's weights.
    ///
    /// # Errors
    /// Where it is for a module that the model does not have.
    pub fn new(base: &'a Checkpoint, adapter: &'a Adapter) -> Result<Self, Error> {
        let names: BTreeSet<&str> = base.names().into_iter().collect();
        let known: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).collect();
        let (mut modules, mut more) = (BTreeMap::new(), BTreeMap::new());
        for (module, parts) in &adapter.modules {
            // A checkpoint of the bare model has names without its prefix, one of a larger model has more.
            let shorter = module.split_once('.').map(|(_, rest)| rest).filter(|rest| known.contains(*rest));
            let longer = || known.iter().copied().find(|name| name.ends_with(&format!(".{module}")));
            let found = known.get(module.as_str()).copied().or(shorter).or_else(longer);
            let has_lora = parts.a.is_some() || parts.rows.is_some();
            let Some(found) = found else {
                if has_lora {
                    return Err(adapter.refused(format!("it is for `{module}`, which the model does not have")));
                }
                more.extend(parts.whole.iter().map(|(last, name)| (format!("{module}.{last}"), name.as_str())));
                continue;
            };
            if parts.b_bias.is_some() && !names.contains(format!("{found}.bias").as_str()) {
                return Err(adapter.refused(format!("it has a bias for `{module}`, which has none")));
            }
            modules.insert(found.to_owned(), module.as_str());
            let missing = parts.whole.iter().map(|(last, name)| (format!("{found}.{last}"), name.as_str()));
            more.extend(missing.filter(|(name, _)| !names.contains(name.as_str())));
        }
        // Of `Conv1D`, the bias is as long as a row.
        let conv1d = |name: &&str| {
            let Some(module) = name.strip_suffix("c_fc.weight") else { return false };
            let shape = |last: &str| Some(base.safetensors()?.info(&format!("{module}c_fc.{last}"))?.0);
            matches!((shape("weight"), shape("bias")), (Some([a, b]), Some([c])) if a != b && b == c)
        };
        let has_conv1d = names.iter().any(conv1d);
        Ok(Self { base, adapter, modules, more, has_conv1d })
    }

    /// What an architecture gets to see: what the model has, and what the adapter brings beside it.
    pub fn catalog(&self, base_prefix: &str) -> Catalog {
        let more = self.more.iter().filter_map(|(name, own)| {
            let (shape, dtype) = self.adapter.tensors.info(own)?;
            let shape: Result<Vec<u32>, _> = shape.iter().map(|size| u32::try_from(*size)).collect();
            Some((name.clone(), shape.ok()?, dtype))
        });
        self.base.catalog(base_prefix).with_tensors(more)
    }

    /// The names of tensors that the adapter brings and the model does not have.
    pub(crate) fn more(&self) -> impl Iterator<Item = &str> {
        self.more.keys().map(String::as_str)
    }

    /// Whether a tensor of the model may become another.
    pub(crate) fn changes(&self, name: &str) -> bool {
        name.rsplit_once('.').is_some_and(|(module, _)| self.modules.contains_key(module))
    }

    /// What becomes of a tensor, where the adapter changes it.
    pub(super) fn changed(&self, name: &str, stored: &StoredTensor<'_>) -> Result<Option<Vec<f32>>, Failure> {
        let Some((module, last)) = name.rsplit_once('.') else { return Ok(None) };
        let Some(named) = self.modules.get(module) else { return Ok(None) };
        let parts = &self.adapter.modules[*named];
        let whole = parts.whole.get(last).map(|whole| self.adapter.numbers_for(whole, name, &stored.shape));
        let mut numbers = whole.transpose()?;
        if last == "bias"
            && let (Some(bias), Some(a)) = (&parts.b_bias, &parts.a)
        {
            let rank = self.adapter.numbers(a)?.0.first().copied().unwrap_or(1);
            let bias = self.adapter.numbers_for(bias, name, &stored.shape)?;
            let scale = self.adapter.settings.scale(named, rank);
            add_scaled(numbers.get_or_insert_with(|| stored.to_f32()), &bias, scale);
        }
        if last == "weight" {
            self.add_matrices(name, named, parts, stored, &mut numbers)?;
            self.set_rows(name, named, parts, stored, &mut numbers)?;
        }
        Ok(numbers)
    }

    fn add_matrices(
        &self,
        name: &str,
        named: &str,
        parts: &Module,
        stored: &StoredTensor<'_>,
        numbers: &mut Option<Vec<f32>>,
    ) -> Result<(), Failure> {
        let Some(matrices) = self.matrices(named, parts)? else { return Ok(()) };
        let layout = matrices.layout;
        fit(name, &stored.shape, &layout.shape())?;
        let numbers = numbers.get_or_insert_with(|| stored.to_f32());
        matrices.add_to(numbers);
        if let Some(magnitudes) = self.magnitudes(named, parts, layout.outputs)? {
            set_lengths(numbers, layout, &magnitudes);
        }
        Ok(())
    }

    /// The lengths that DoRA gives the outputs of a module.
    pub(super) fn magnitudes(&self, named: &str, parts: &Module, outputs: usize) -> Result<Option<Vec<f32>>, Failure> {
        let Some(magnitude) = &parts.magnitude else { return Ok(None) };
        let (shape, lengths) = self.adapter.numbers(magnitude)?;
        match lengths.len() == outputs {
            true => Ok(Some(lengths)),
            false => Err(format!("the adapter's magnitudes for `{named}` have the shape {shape:?}").into()),
        }
    }

    /// The matrices for a module's weight, if there are.
    pub(super) fn matrices(&self, named: &str, parts: &Module) -> Result<Option<Matrices>, Failure> {
        let (Some(a), Some(b)) = (&parts.a, &parts.b) else { return Ok(None) };
        let ((a_shape, a), (b_shape, b)) = (self.adapter.numbers(a)?, self.adapter.numbers(b)?);
        let ([rank, inputs], [outputs, b_rank]) = (a_shape.as_slice(), b_shape.as_slice()) else {
            return Err(format!("the adapter's matrices for `{named}` are not matrices").into());
        };
        if *rank == 0 {
            return Err(format!("the adapter's matrices for `{named}` have the rank 0").into());
        }
        if rank != b_rank {
            return Err(format!("the adapter's matrices for `{named}` have the ranks {rank} and {b_rank}").into());
        }
        // `fan_in_fan_out` says so of one module only: PEFT sets it anew for each, and saves what it was for the last.
        let last = named.rsplit('.').next().unwrap_or(named);
        let transposed = parts.table || self.has_conv1d && CONV1D.contains(&last);
        let layout = Layout { outputs: *outputs, inputs: *inputs, transposed };
        Ok(Some(Matrices { rank: *rank, layout, scale: self.adapter.settings.scale(named, *rank), a, b }))
    }

    /// Puts rows for single tokens in their places.
    fn set_rows(
        &self,
        name: &str,
        named: &str,
        parts: &Module,
        stored: &StoredTensor<'_>,
        numbers: &mut Option<Vec<f32>>,
    ) -> Result<(), Failure> {
        let (Some(rows), [count, width]) = (&parts.rows, stored.shape.as_slice()) else { return Ok(()) };
        let ids = self.adapter.settings.tokens(named);
        let rows = self.adapter.numbers_for(rows, name, &[ids.len(), *width])?;
        let numbers = numbers.get_or_insert_with(|| stored.to_f32());
        for (id, row) in ids.iter().zip(rows.chunks_exact(*width)) {
            if id >= count {
                return Err(format!("the adapter has a row for token {id}, and `{name}` has {count} rows").into());
            }
            numbers[id * width..(id + 1) * width].copy_from_slice(row);
        }
        Ok(())
    }
}

impl Weights for Adapted<'_> {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Failure> {
        if let Some(own) = self.more.get(name) {
            return Ok(self.adapter.tensors.read(own)?);
        }
        let stored = self.base.read(name)?;
        let Some(numbers) = self.changed(name, &stored)? else { return Ok(stored) };
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(StoredTensor { dtype: DType::F32.into(), shape: stored.shape, bytes: bytes.into() })
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Failure> {
        match self.more.get(name) {
            Some(own) => Ok(self.adapter.tensors.stored_type(own)?),
            None if self.changes(name) => Ok(DType::F32.into()),
            None => self.base.stored_type(name),
        }
    }
}
