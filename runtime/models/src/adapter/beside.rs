//! An adapter as what runs beside a model's weights, for one sequence of a batch and not for another.

use runtime_tensor::{LowRank, LowRanks, Weights};

use super::arithmetic::{lengths, narrow};
use super::{Adapted, Failure, Module, fit};
use crate::Error;

impl Adapted<'_> {
    /// What the adapter does to products.
    ///
    /// # Errors
    /// Where it does more than that (tables, whole tensors), or its sizes are not those of the model.
    pub fn low_ranks(&self) -> Result<LowRanks, Error> {
        if let Some(name) = self.more().next() {
            return Err(self.alone(format!("it brings `{name}`, which the model does not have")));
        }
        let of_module = |(found, named): (&String, &&str)| {
            let parts = &self.adapter.modules[*named];
            let replaced = parts.whole.keys().find(|last| *last != "bias");
            if parts.table || parts.rows.is_some() {
                return Err(self.alone(format!("it changes the table `{found}`")));
            }
            if let Some(last) = replaced {
                return Err(self.alone(format!("it replaces `{found}.{last}`")));
            }
            let low_rank = self.low_rank(found, named, parts);
            Ok((format!("{found}.weight"), low_rank.map_err(|failure| self.adapter.refused(failure.to_string()))?))
        };
        self.modules.iter().map(of_module).collect()
    }

    fn alone(&self, reason: String) -> Error {
        Error::AdapterBeside { path: self.adapter.path.clone(), reason }
    }

    fn low_rank(&self, found: &str, named: &str, parts: &Module) -> Result<LowRank, Failure> {
        let mut changed = LowRank { bias: self.bias(found, parts)?, ..LowRank::default() };
        let name = format!("{found}.weight");
        let Some(matrices) = self.matrices(named, parts)? else { return Ok(changed) };
        let layout = matrices.layout;
        let mut factors = vec![1.0; layout.outputs];
        if let Some(magnitudes) = self.magnitudes(named, parts, layout.outputs)? {
            let stored = self.base.read(&name)?;
            fit(&name, &stored.shape, &layout.shape())?;
            let mut numbers = stored.to_f32();
            matrices.add_to(&mut numbers);
            let lengths = lengths(&numbers, layout);
            factors =
                magnitudes.iter().zip(lengths).map(|(magnitude, length)| f64::from(*magnitude) / length).collect();
            changed.factors = Some(factors.iter().map(|factor| narrow(*factor)).collect());
        }
        changed.rank = matrices.rank;
        let rows = matrices.b.chunks_exact(matrices.rank.max(1)).zip(&factors);
        let scaled = |(row, factor): (&[f32], &f64)| {
            let scale = matrices.scale * factor;
            row.iter().map(|number| narrow(f64::from(*number) * scale)).collect::<Vec<f32>>()
        };
        changed.b = rows.flat_map(scaled).collect();
        changed.a = matrices.a;
        Ok(changed)
    }

    /// What is added to the bias of a module, if anything is.
    fn bias(&self, found: &str, parts: &Module) -> Result<Option<Vec<f32>>, Failure> {
        if parts.b_bias.is_none() && !parts.whole.contains_key("bias") {
            return Ok(None);
        }
        let name = format!("{found}.bias");
        let stored = self.base.read(&name)?;
        let changed = self.changed(&name, &stored)?;
        let base = stored.to_f32();
        Ok(changed.map(|changed| changed.iter().zip(base).map(|(changed, base)| changed - base).collect()))
    }
}
