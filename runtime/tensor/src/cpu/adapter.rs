//! Products of rows whose sequences have an adapter.
//!
//! Such a product is made without what follows it, changed in the rows of each adapter by its two small matrices, and
//! finished. The bits of rows without an adapter are those of a product that is finished at once.

use runtime_graph::Dim;
use runtime_kernels::{self as kernels, Correction, Finish, Product, Quantized, Team};

use super::Packer;
use crate::Batch;
use crate::lower::AdaptedRows;

/// The adapters of a batch, and memory for what they compute.
#[derive(Default)]
pub(super) struct Adapting {
    adapters: Vec<AdaptedRows>,
    x: Vec<f32>,
    low: Vec<f32>,
    add: Vec<f32>,
}

impl Adapting {
    /// Finds the rows of each adapter of a batch.
    pub(super) fn fit(&mut self, batch: &Batch) {
        self.adapters = AdaptedRows::of(batch);
    }

    /// Lets go of the adapters of a batch that has been run.
    pub(super) fn clear(&mut self) {
        self.adapters.clear();
    }

    /// Whether an adapter of the batch changes a product.
    pub(super) fn changes(&self, product: usize) -> bool {
        self.adapters.iter().any(|rows| rows.changes::<Packer>(product).is_some())
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
        for adapted in adapters {
            let Some(changes) = adapted.changes::<Packer>(number) else { continue };
            let rows = adapted.rows(dim);
            x.resize(rows.len() * inputs, 0.0);
            kernels::select_rows(team, product.x, inputs, rows, x);
            for change in changes {
                add.clear();
                if let Some((a, b)) = &change.matrices {
                    low.resize(rows.len() * a.outputs(), 0.0);
                    Product { x: x.as_slice(), weight: a, finish: Finish::default() }.run(team, quantized, low);
                    add.resize(rows.len() * change.columns, 0.0);
                    Product { x: low.as_slice(), weight: b, finish: Finish::default() }.run(team, quantized, add);
                }
                let correction = Correction {
                    rows,
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
