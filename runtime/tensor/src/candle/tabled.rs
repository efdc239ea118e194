//! Tables that a run needs, of which those that are on the device stay there from run to run.

use candle_core::{Device, Tensor};

use crate::lower::{Layout, Tables};
use crate::{Batch, Error};

/// What a run prepares, with the tables that are on the device already.
pub(super) struct Tabled {
    host: Tables,
    /// Cosines and sines, and of how many positions they are.
    angles: Vec<Option<(usize, [Tensor; 2])>>,
    /// Numbers by distance, and how far they reach.
    biases: Vec<Option<(usize, Tensor)>>,
}

impl Tabled {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            host: Tables::new(layout),
            angles: layout.angles.iter().map(|_| None).collect(),
            biases: layout.distances.iter().map(|_| None).collect(),
        }
    }

    pub(super) fn fit(&mut self, layout: &Layout, batch: &Batch) {
        self.host.fit(layout, batch);
    }

    pub(super) fn host(&self) -> &Tables {
        &self.host
    }

    /// Cosines and sines by position, `[positions, frequencies]`.
    pub(super) fn angles(&mut self, device: &Device, number: usize, frequencies: usize) -> Result<[Tensor; 2], Error> {
        let table = &self.host.angles[number];
        if let Some((_, tensors)) = self.angles[number].as_ref().filter(|(known, _)| *known == table.cosines.len()) {
            return Ok(tensors.clone());
        }
        let shape = (table.cosines.len() / frequencies, frequencies);
        let upload = |numbers: &[f32]| Tensor::from_slice(numbers, shape, device);
        let tensors = [upload(&table.cosines)?, upload(&table.sines)?];
        self.angles[number] = Some((table.cosines.len(), tensors.clone()));
        Ok(tensors)
    }

    /// What distances add, by `key - query`: how far they reach, and `[heads, 2 * reach + 1]`.
    pub(super) fn bias(
        &mut self,
        device: &Device,
        number: usize,
        vector: &[f32],
        heads: usize,
    ) -> Result<(usize, Tensor), Error> {
        let table = &mut self.host.distances[number];
        if let Some(known) = self.biases[number].as_ref().filter(|(reach, _)| *reach == table.reach) {
            return Ok(known.clone());
        }
        table.spread(vector, heads);
        let tensor = Tensor::from_slice(&table.bias[..], (heads, 2 * table.reach + 1), device)?;
        self.biases[number] = Some((table.reach, tensor.clone()));
        Ok((table.reach, tensor))
    }
}
