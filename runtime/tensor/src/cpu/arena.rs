//! The memory of a run.
//!
//! Values live in slots; values that are never needed at the same time share one. A slot grows to what the largest batch
//! needs.

use runtime_kernels::{AttentionScratch, Buffer, Columns, Quantized, Routing};

use super::adapter::Adapting;
use crate::Batch;
use crate::lower::{Home, Layout, Tables, count};

/// The memory of one run at a time.
pub(super) struct Arena {
    pub(super) slots: Vec<Buffer>,
    pub(super) tables: Tables,
    pub(super) quantized: Quantized,
    pub(super) attention: AttentionScratch,
    /// The experts of the mixture that is being computed.
    pub(super) routing: Routing,
    pub(super) adapting: Adapting,
}

impl Arena {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            slots: layout.slots.iter().map(|_| Buffer::default()).collect(),
            tables: Tables::new(layout),
            quantized: Quantized::new(),
            attention: AttentionScratch::default(),
            routing: Routing::default(),
            adapting: Adapting::default(),
        }
    }

    /// Makes room for a batch, and prepares what depends on its lengths.
    pub(super) fn fit(&mut self, layout: &Layout, batch: &Batch) {
        for (slot, (rows, width)) in self.slots.iter_mut().zip(&layout.slots) {
            slot.fit(count(batch, *rows) * width);
        }
        self.tables.fit(layout, batch);
        self.adapting.fit(batch);
    }

    /// A value that has its matrix to itself.
    pub(super) fn whole(&self, home: Home, batch: &Batch) -> &[f32] {
        &self.slots[home.slot][..count(batch, home.rows) * home.width]
    }

    /// A value as columns of its matrix.
    pub(super) fn columns(&self, home: Home, batch: &Batch) -> Columns<'_> {
        Columns { x: self.whole(home, batch), stride: home.width, first: home.first }
    }
}
