//! Products of rows whose sequences have an adapter, as on the processor: made without what follows, changed in the rows of
//! each adapter, and finished.

use candle_core::Tensor;
use runtime_graph::Dim;

use super::blocks::put;
use super::run::Run;
use super::weight::Uploader;
use crate::Error;

impl Run<'_> {
    /// Changes a product of `x`, where an adapter of the batch does.
    pub(super) fn adapt(&self, number: usize, dim: Dim, x: &Tensor, product: &Tensor) -> Result<(), Error> {
        for adapted in &self.adapters {
            let Some(changes) = adapted.changes::<Uploader>(number) else { continue };
            let ids = adapted.rows(dim);
            if ids.is_empty() {
                continue;
            }
            let ids = Tensor::from_slice(ids, ids.len(), &self.plan.device.raw)?;
            let (x, rows) = (x.index_select(&ids, 0)?, product.index_select(&ids, 0)?);
            for change in changes {
                let mut columns = rows.narrow(1, change.first, change.columns)?;
                if let Some(factors) = &change.factors {
                    columns = columns.broadcast_mul(factors)?;
                }
                if let Some((a, b)) = &change.matrices {
                    columns = (columns + b.product(&a.product(&x)?)?)?;
                }
                if let Some(bias) = &change.bias {
                    columns = columns.broadcast_add(bias)?;
                }
                // What is written may not share its memory with what it is written to.
                rows.slice_set(&columns.force_contiguous()?, 1, change.first)?;
            }
            put(product, &ids, &rows)?;
        }
        Ok(())
    }
}
