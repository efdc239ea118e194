//! What an adapter changes of a plan's products, and in which rows of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_graph::Dim;

use super::layout::Held;
use super::pack::{Pack, Part};
use crate::{Batch, Error, LowRank, LowRanks, PlanAdapter, Precision};

/// The products of a plan, by number, with the weights that each holds.
pub(crate) type Products = Arc<Vec<Vec<Held>>>;

/// An adapter in the form that the products of a plan need on its device.
pub(crate) struct Changes<P: Pack>(HashMap<usize, Vec<Change<P>>>);

/// What is changed of a product: `x w * factors + x a b + bias`, before what follows it.
pub(crate) struct Change<P: Pack> {
    /// The first column of its result.
    pub(crate) first: usize,
    pub(crate) columns: usize,
    pub(crate) matrices: Option<(P::Packed, P::Packed)>,
    pub(crate) factors: Option<P::Vector>,
    pub(crate) bias: Option<P::Vector>,
}

impl<P: Pack> Changes<P> {
    /// # Errors
    /// Where a weight is in no product, the sizes are others, or the device has no room.
    pub(crate) fn new(pack: &P, products: &Products, low_ranks: &LowRanks) -> Result<Self, Error> {
        let mut changes: HashMap<usize, Vec<Change<P>>> = HashMap::new();
        for (name, low_rank) in low_ranks {
            let mut is_used = false;
            for (number, held) in products.iter().enumerate() {
                let mut first = 0;
                for held in held {
                    if held.weight.as_ref() == Some(name) {
                        is_used = true;
                        changes.entry(number).or_default().push(Change::new(pack, name, low_rank, held, first)?);
                    }
                    first += held.rows.len();
                }
            }
            if !is_used {
                return Err(Error::NoProduct { name: name.clone() });
            }
        }
        Ok(Self(changes))
    }

    /// What is changed of a product, if anything is.
    pub(crate) fn of(&self, product: usize) -> Option<&[Change<P>]> {
        self.0.get(&product).map(Vec::as_slice)
    }
}

impl<P: Pack> Change<P> {
    fn new(pack: &P, name: &str, low_rank: &LowRank, held: &Held, first: usize) -> Result<Self, Error> {
        let LowRank { rank, a, b, factors, bias } = low_rank;
        let vectors = [factors, bias].into_iter().flatten();
        let sizes = [(a.len(), rank * held.inputs), (b.len(), rank * held.outputs)];
        let sizes = sizes.into_iter().chain(vectors.map(|vector| (vector.len(), held.outputs)));
        if let Some((found, expected)) = sizes.into_iter().find(|(found, expected)| found != expected) {
            return Err(Error::AdapterSize { name: name.to_owned(), expected, found });
        }
        let some = |vector: &Option<Vec<f32>>| {
            vector.as_ref().map(|vector| pack.vector(vector[held.rows.clone()].to_vec())).transpose()
        };
        let packed = |numbers: &[f32], inputs| pack.numbers(Precision::F32, inputs, &[Part::Computed(numbers)]);
        let b = &b[held.rows.start * rank..held.rows.end * rank];
        let matrices = if *rank > 0 { Some((packed(a, held.inputs)?, packed(b, *rank)?)) } else { None };
        Ok(Self { first, columns: held.rows.len(), matrices, factors: some(factors)?, bias: some(bias)? })
    }
}

/// An adapter of a batch with its rows, in ascending order.
pub(crate) struct AdaptedRows {
    adapter: PlanAdapter,
    tokens: Vec<u32>,
    sequences: Vec<u32>,
    asked: Vec<u32>,
}

impl AdaptedRows {
    /// Those of each adapter of a batch.
    pub(crate) fn of(batch: &Batch) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (sequence, (adapter, span)) in batch.adapters().iter().zip(batch.spans()).enumerate() {
            let Some(adapter) = adapter else { continue };
            let place = all.iter().position(|known| known.adapter == *adapter).unwrap_or_else(|| {
                let (tokens, sequences) = (Vec::new(), Vec::new());
                all.push(Self { adapter: adapter.clone(), tokens, sequences, asked: Vec::new() });
                all.len() - 1
            });
            all[place].tokens.extend(span.filter_map(|token| u32::try_from(token).ok()));
            all[place].sequences.extend(u32::try_from(sequence));
        }
        for rows in &mut all {
            let has = |row: &u32| rows.tokens.binary_search(row).is_ok();
            rows.asked = (0..).zip(batch.rows()).filter(|(_, row)| has(row)).map(|(place, _)| place).collect();
        }
        all
    }

    /// What it changes of a product, on the device that packs so.
    pub(crate) fn changes<P: Pack + 'static>(&self, product: usize) -> Option<&[Change<P>]> {
        self.adapter.changes::<P>()?.of(product)
    }

    /// Its rows of a matrix with a row for each of `dim`.
    pub(crate) fn rows(&self, dim: Dim) -> &[u32] {
        match dim {
            Dim::Tokens | Dim::Source => &self.tokens,
            Dim::Sequences => &self.sequences,
            Dim::Rows => &self.asked,
            Dim::Fixed(_) => &[],
        }
    }
}
