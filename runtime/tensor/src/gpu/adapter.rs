//! Products of rows whose sequences have an adapter, as on the processor: made without what follows, changed in the rows of
//! each adapter, and finished.

use runtime_gpu::{Buffer, Correction, Elementwise, Finish, Weight};
use runtime_graph::Dim;

use super::Uploader;
use super::run::Run;
use crate::Error;
use crate::lower::AdaptedRows;

/// A product that is changed.
pub(super) struct Adapted<'a> {
    pub(super) number: usize,
    pub(super) dim: Dim,
    pub(super) rows: usize,
    pub(super) x: &'a Buffer,
    pub(super) weight: &'a Weight,
    pub(super) finish: Finish<'a>,
    pub(super) to: &'a Buffer,
}

/// Whether an adapter of the batch changes a product.
pub(super) fn are_changed(adapters: &[AdaptedRows], product: usize) -> bool {
    adapters.iter().any(|rows| rows.changes::<Uploader>(product).is_some())
}

impl Run<'_> {
    pub(super) fn adapted(&mut self, product: &Adapted<'_>) -> Result<(), Error> {
        let Adapted { number, dim, rows, x, weight, finish, to } = product;
        let (inputs, outputs) = (weight.inputs(), weight.outputs());
        self.recorder.product(x, *rows, weight, &Finish::default(), to);
        let gpu = self.recorder.gpu().clone();
        for adapted in &self.adapters {
            let Some(changes) = adapted.changes::<Uploader>(*number) else { continue };
            let of_adapter = adapted.rows(*dim);
            let count = of_adapter.len();
            let ids = self.recorder.upload_u32(of_adapter)?;
            let selected = gpu.scratch(size_of::<f32>() * count * inputs)?;
            self.recorder.select_rows(x, inputs, &ids, count, &selected);
            for change in changes {
                let mut add = None;
                if let Some((a, b)) = &change.matrices {
                    let low = gpu.scratch(size_of::<f32>() * count * a.outputs())?;
                    self.recorder.product(&selected, count, a, &Finish::default(), &low);
                    let added = gpu.scratch(size_of::<f32>() * count * change.columns)?;
                    self.recorder.product(&low, count, b, &Finish::default(), &added);
                    add = Some(added);
                }
                let correction = Correction {
                    rows: Some(&ids),
                    count,
                    columns: change.columns,
                    factors: change.factors.as_ref(),
                    add: add.as_ref(),
                    bias: change.bias.as_ref(),
                };
                let columns = runtime_gpu::Columns { buffer: to, stride: outputs, first: change.first };
                self.recorder.correct(columns, &correction);
            }
        }
        let Finish { bias, activation, factor, add } = *finish;
        if bias.is_some() {
            let every = Correction { rows: None, count: *rows, columns: outputs, factors: None, add: None, bias };
            self.recorder.correct(to.columns(outputs), &every);
        }
        if activation.is_some() || factor.is_some() || add.is_some() {
            let chain = Elementwise { activation, scale: None, multiply: factor, add };
            self.recorder.elementwise(to, rows * outputs, &chain, to);
        }
        Ok(())
    }
}
