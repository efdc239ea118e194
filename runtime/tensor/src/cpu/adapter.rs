//! Products of rows whose sequences have an adapter.
//!
//! Such a product is made without what follows it, changed in the rows of each adapter by its two small matrices, and
//! finished. The bits of rows without an adapter are those of a product that is finished at once.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_graph::Dim;
use runtime_kernels::{self as kernels, Correction, Finish, Packed, Precision, Product, Quantized, Team};

use crate::adapter::LowRanks;
use crate::lower::Held;
use crate::{Batch, Error, PlanAdapter};

/// An adapter in the form that the plan's products need.
pub(crate) struct CpuAdapter {
    /// The plan's products, which tell it from other plans.
    products: Arc<Vec<Vec<Held>>>,
    changes: HashMap<usize, Vec<Change>>,
}

/// What is changed of a product.
struct Change {
    /// The first column of its result.
    first: usize,
    columns: usize,
    matrices: Option<(Packed, Packed)>,
    factors: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
}

impl CpuAdapter {
    /// # Errors
    /// Where a weight is in no product, or the sizes are others.
    pub(super) fn new(products: &Arc<Vec<Vec<Held>>>, low_ranks: &LowRanks) -> Result<Self, Error> {
        let mut changes: HashMap<usize, Vec<Change>> = HashMap::new();
        for (name, low_rank) in low_ranks {
            let mut is_used = false;
            for (number, held) in products.iter().enumerate() {
                let mut first = 0;
                for held in held {
                    if held.weight.as_ref() == Some(name) {
                        is_used = true;
                        changes.entry(number).or_default().push(Change::new(name, low_rank, held, first)?);
                    }
                    first += held.rows.len();
                }
            }
            if !is_used {
                return Err(Error::NoProduct { name: name.clone() });
            }
        }
        Ok(Self { products: Arc::clone(products), changes })
    }

    pub(super) fn is_of(&self, products: &Arc<Vec<Vec<Held>>>) -> bool {
        Arc::ptr_eq(&self.products, products)
    }
}

impl Change {
    fn new(name: &str, low_rank: &crate::LowRank, held: &Held, first: usize) -> Result<Self, Error> {
        let crate::LowRank { rank, a, b, factors, bias } = low_rank;
        let vectors = [factors, bias].into_iter().flatten();
        let sizes = [(a.len(), rank * held.inputs), (b.len(), rank * held.outputs)];
        let sizes = sizes.into_iter().chain(vectors.map(|vector| (vector.len(), held.outputs)));
        if let Some((found, expected)) = sizes.into_iter().find(|(found, expected)| found != expected) {
            return Err(Error::AdapterSize { name: name.to_owned(), expected, found });
        }
        let some = |vector: &Option<Vec<f32>>| vector.as_ref().map(|vector| vector[held.rows.clone()].to_vec());
        let packed = |numbers: &[f32], inputs| Packed::new(Precision::F32, numbers, inputs);
        let b = || packed(&b[held.rows.start * rank..held.rows.end * rank], *rank);
        Ok(Self {
            first,
            columns: held.rows.len(),
            matrices: (*rank > 0).then(|| (packed(a, held.inputs), b())),
            factors: some(factors),
            bias: some(bias),
        })
    }
}

/// The adapters of a batch, and memory for what they compute.
#[derive(Default)]
pub(super) struct Adapting {
    adapters: Vec<Rows>,
    x: Vec<f32>,
    low: Vec<f32>,
    add: Vec<f32>,
}

/// An adapter with its rows, in ascending order.
struct Rows {
    adapter: PlanAdapter,
    tokens: Vec<u32>,
    sequences: Vec<u32>,
    asked: Vec<u32>,
}

impl Adapting {
    /// Finds the rows of each adapter of a batch.
    pub(super) fn fit(&mut self, batch: &Batch) {
        self.adapters.clear();
        for (sequence, (adapter, span)) in batch.adapters().iter().zip(batch.spans()).enumerate() {
            let Some(adapter) = adapter else { continue };
            let known = self.adapters.iter().position(|known| known.adapter == *adapter);
            let place = known.unwrap_or_else(|| {
                let (tokens, sequences) = (Vec::new(), Vec::new());
                self.adapters.push(Rows { adapter: adapter.clone(), tokens, sequences, asked: Vec::new() });
                self.adapters.len() - 1
            });
            let rows = &mut self.adapters[place];
            rows.tokens.extend(span.filter_map(|token| u32::try_from(token).ok()));
            rows.sequences.extend(u32::try_from(sequence));
        }
        for rows in &mut self.adapters {
            let has = |row: &u32| rows.tokens.binary_search(row).is_ok();
            let asked = (0..).zip(batch.rows()).filter(|(_, row)| has(row));
            rows.asked = asked.map(|(place, _)| place).collect();
        }
    }

    /// Lets go of the adapters of a batch that has been run.
    pub(super) fn clear(&mut self) {
        self.adapters.clear();
    }

    /// Whether an adapter of the batch changes a product.
    pub(super) fn changes(&self, product: usize) -> bool {
        self.adapters.iter().any(|rows| rows.adapter.cpu.changes.contains_key(&product))
    }

    /// Fills `to` with `finish(changed(x weight^T))`.
    pub(super) fn run(
        &mut self,
        team: &Team<'_>,
        number: usize,
        dim: Dim,
        product: &Product<'_>,
        quantized: &mut Quantized,
        to: &mut [f32],
    ) {
        let (inputs, outputs) = (product.weight.inputs(), product.weight.outputs());
        Product { x: product.x, weight: product.weight, finish: Finish::default() }.run(team, quantized, to);
        let Self { adapters, x, low, add } = self;
        for rows in adapters {
            let Some(changes) = rows.adapter.cpu.changes.get(&number) else { continue };
            let ids = match dim {
                Dim::Tokens | Dim::Source => &rows.tokens,
                Dim::Sequences => &rows.sequences,
                Dim::Rows => &rows.asked,
                Dim::Fixed(_) => continue,
            };
            x.resize(ids.len() * inputs, 0.0);
            kernels::select_rows(team, product.x, inputs, ids, x);
            for change in changes {
                add.clear();
                if let Some((a, b)) = &change.matrices {
                    low.resize(ids.len() * a.outputs(), 0.0);
                    Product { x: x.as_slice(), weight: a, finish: Finish::default() }.run(team, quantized, low);
                    add.resize(ids.len() * change.columns, 0.0);
                    Product { x: low.as_slice(), weight: b, finish: Finish::default() }.run(team, quantized, add);
                }
                let correction = Correction {
                    rows: ids,
                    first: change.first,
                    columns: change.columns,
                    factors: change.factors.as_deref(),
                    add,
                    bias: change.bias.as_deref(),
                };
                correction.run(team, outputs, to);
            }
        }
        product.finish.run(team, outputs, to);
    }
}
