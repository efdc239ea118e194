//! Layers: tensors that belong together, and how they are applied.

use crate::Value;

/// `x weight^T + bias`.
#[derive(Clone)]
pub struct Linear {
    /// `[o, i]`.
    pub weight: Value,
    /// `[o]`.
    pub bias: Option<Value>,
}

impl Linear {
    /// `[rows, i]` gives `[rows, o]`.
    #[track_caller]
    pub fn forward(&self, x: &Value) -> Value {
        x.linear(&self.weight, self.bias.as_ref())
    }
}

/// Layer normalisation (<https://arxiv.org/abs/1607.06450>).
#[derive(Clone)]
pub struct Norm {
    /// `[h]`.
    pub weight: Value,
    /// `[h]`.
    pub bias: Option<Value>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Norm {
    /// `[.., h]` gives `[.., h]`.
    #[track_caller]
    pub fn forward(&self, x: &Value) -> Value {
        x.layer_norm(&self.weight, self.bias.as_ref(), self.epsilon)
    }
}

/// One of the experts that [`Value::experts`] chooses from: `down (activation(gate x) * (up x))`.
#[derive(Clone)]
pub struct Expert {
    /// `[i, h]`.
    pub gate: Value,
    /// `[i, h]`.
    pub up: Value,
    /// `[h, i]`.
    pub down: Value,
}

/// A table of one row for each index.
#[derive(Clone)]
pub struct Embedding {
    /// `[v, h]`.
    pub table: Value,
}

impl Embedding {
    /// `[n]` gives `[n, h]`.
    #[track_caller]
    pub fn rows(&self, ids: &Value) -> Value {
        self.table.rows(ids)
    }
}
