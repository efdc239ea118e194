//! Adapters that run beside a plan's weights, chosen for each sequence of a batch.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lower::{Changes, Pack, Products};

/// What an adapter makes of a product `x W^T + bias`: `(x W^T) * factors + (x A^T) B^T + bias + its bias`, as LoRA and DoRA
/// compute it beside the model's weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowRank {
    /// Columns of `a` and rows of `b`.
    pub rank: usize,
    /// `[rank, inputs]`
    pub a: Vec<f32>,
    /// `[outputs, rank]`, scaled.
    pub b: Vec<f32>,
    /// What DoRA multiplies each output by, `[outputs]`.
    pub factors: Option<Vec<f32>>,
    /// Added to each row, `[outputs]`.
    pub bias: Option<Vec<f32>>,
}

/// By the name of the weight that it changes.
pub type LowRanks = BTreeMap<String, LowRank>;

/// An adapter in the form in which a plan computes with it ([`Plan::adapter`](crate::Plan::adapter)). Cheap to clone.
#[derive(Clone)]
pub struct PlanAdapter {
    number: u64,
    /// Those of the plan, which tell it from others.
    products: Products,
    /// [`Changes`] for the device of the plan, or those of its parts.
    changes: Arc<dyn Any + Send + Sync>,
}

impl PlanAdapter {
    pub(crate) fn new<P: Pack>(products: &Products, changes: Changes<P>) -> Self
    where
        Changes<P>: Send + Sync + 'static,
    {
        Self { number: next(), products: Arc::clone(products), changes: Arc::new(changes) }
    }

    /// One of those that the parts of a plan have made, for the plan with these products.
    pub(crate) fn of_parts(products: &Products, parts: Vec<Self>) -> Self {
        Self { number: next(), products: Arc::clone(products), changes: Arc::new(parts) }
    }

    /// What it is in a part of its plan.
    pub(crate) fn part(&self, number: usize) -> Option<&Self> {
        self.changes.downcast_ref::<Vec<Self>>()?.get(number)
    }

    /// Whether it was made for a plan with these products.
    pub(crate) fn is_of(&self, products: &Products) -> bool {
        Arc::ptr_eq(&self.products, products)
    }

    /// What products are changed by, on the device that packs so.
    pub(crate) fn changes<P: Pack + 'static>(&self) -> Option<&Changes<P>> {
        self.changes.downcast_ref()
    }

    /// What tells it from every other one of this process: keys and values that were computed with one do not do for another.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl std::fmt::Debug for PlanAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PlanAdapter").field(&self.number).finish()
    }
}

impl PartialEq for PlanAdapter {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for PlanAdapter {}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
