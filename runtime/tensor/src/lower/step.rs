//! The steps of a plan: what is computed from which values, whatever the device.

use runtime_graph::{Activation, Binary, Pooling};
use runtime_kernels as kernels;
use runtime_kernels::Table;

use super::layout::{Home, Ids};

/// What a plan computes with: packed weights, in the form `P` of its device, tables, and vectors.
pub(crate) struct Constants<P> {
    pub(crate) packed: Vec<P>,
    pub(crate) tables: Vec<Rows>,
    pub(crate) vectors: Vec<Vec<f32>>,
}

/// A table whose rows are looked up.
pub(crate) struct Rows {
    pub(crate) table: Lookup,
    pub(crate) rows: usize,
}

/// What they are looked up in.
pub(crate) enum Lookup {
    Table(Table),
    /// A weight in blocks, which products may have too, by its number.
    Packed(usize),
}

/// A normalisation with its vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Normalise {
    pub(crate) centred: bool,
    pub(crate) weight: usize,
    pub(crate) bias: Option<usize>,
    pub(crate) epsilon: f64,
}

/// Rows of a table that a look-up adds up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) table: usize,
    pub(crate) ids: Ids,
}

/// What follows a product, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Follow {
    pub(crate) bias: Option<usize>,
    pub(crate) activation: Option<Activation>,
    pub(crate) factor: Option<Home>,
    pub(crate) add: Option<Home>,
    pub(crate) norm: Option<Normalise>,
}

/// What attention is computed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) heads: usize,
    pub(crate) key_value_heads: usize,
    pub(crate) causal: bool,
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
    pub(crate) soft_cap: Option<f32>,
    pub(crate) relative: Option<Terms>,
}

/// What distances add, by the number of their table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Terms {
    Bias { distances: usize, table: usize },
    Disentangled { distances: usize, keys: Option<usize>, queries: Option<usize> },
}

/// One step; `to` is where its result goes.
pub(crate) enum Step {
    /// What another plan has computed, by its number; before all other steps.
    Receive {
        number: usize,
        to: Home,
    },
    /// The sum of rows of tables, normalised.
    LookUp {
        parts: Vec<Part>,
        norm: Option<Normalise>,
        to: Home,
    },
    Product {
        x: Home,
        weight: usize,
        /// Its number among those that adapters may change.
        number: Option<usize>,
        follow: Follow,
        to: Home,
    },
    Attention {
        q: Home,
        k: Home,
        v: Home,
        heads: Heads,
        /// Its number among the attentions whose keys and values can be kept; those of sources are not.
        place: Option<usize>,
        to: Home,
    },
    /// Keeps keys and values of sources, for the attention to them of this number.
    Keep {
        k: Home,
        v: Home,
        place: usize,
    },
    /// Attention to what the sources' keys and values of this number are.
    CrossAttention {
        q: Home,
        heads: Heads,
        place: usize,
        to: Home,
    },
    /// Chooses the experts of each row, and lays the rows out by expert, once for each.
    Route {
        logits: Home,
        x: Home,
        top_k: usize,
        normalise: bool,
        to: Home,
    },
    /// The product of each expert's weight with its rows, as they are laid out.
    ExpertProducts {
        x: Home,
        weights: Vec<usize>,
        activation: Option<Activation>,
        factor: Option<Home>,
        to: Home,
    },
    /// Weighted sums of what the experts made of each row.
    Mix {
        x: Home,
        to: Home,
    },
    Norm {
        x: Home,
        norm: Normalise,
        to: Home,
    },
    Activation {
        x: Home,
        activation: Activation,
        to: Home,
    },
    Binary {
        binary: Binary,
        a: Home,
        b: Home,
        to: Home,
    },
    Scale {
        x: Home,
        factor: f32,
        to: Home,
    },
    /// Each row times its own number.
    ScaleRows {
        x: Home,
        factors: Home,
        to: Home,
    },
    Copy {
        x: Home,
        to: Home,
    },
    /// Parts of rows of both, side by side.
    Join {
        a: Home,
        b: Home,
        parts: usize,
        to: Home,
    },
    /// In place.
    Rotary {
        x: Home,
        angles: usize,
        frequencies: usize,
        head_size: usize,
    },
    /// Each token's row between those of its neighbours, `size` of them, zeros outside of its sequence.
    Neighbours {
        x: Home,
        size: usize,
        to: Home,
    },
    Convolution {
        x: Home,
        weight: usize,
        bias: Option<usize>,
        groups: usize,
        size: usize,
        to: Home,
    },
    /// Columns convolved over a token and those before it.
    CausalConvolution {
        x: Home,
        /// `[size, width]`
        weight: usize,
        bias: Option<usize>,
        size: usize,
        /// Its number among the operators with a state.
        state: usize,
        to: Home,
    },
    SelectiveScan {
        x: Home,
        delta: Home,
        /// `[states, width]`
        a: usize,
        b: Home,
        c: Home,
        d: Option<usize>,
        /// Its number among the operators with a state.
        state: usize,
        to: Home,
    },
    Pool {
        pooling: Pooling,
        x: Home,
        to: Home,
    },
    Select {
        x: Home,
        to: Home,
    },
}

impl Step {
    /// The values that it reads, and the one that it writes, if any.
    pub(crate) fn homes(&mut self) -> (Vec<&mut Home>, Option<&mut Home>) {
        let (read, written) = match self {
            Self::Keep { k, v, .. } => return (vec![k, v], None),
            Self::Receive { to, .. } | Self::LookUp { to, .. } => (vec![], to),
            Self::Product { x, follow, to, .. } => {
                let operands = [follow.factor.as_mut(), follow.add.as_mut()];
                (std::iter::once(x).chain(operands.into_iter().flatten()).collect(), to)
            }
            Self::Attention { q, k, v, to, .. } => (vec![q, k, v], to),
            Self::Binary { a, b, to, .. } | Self::Join { a, b, to, .. } => (vec![a, b], to),
            Self::ScaleRows { x, factors, to } => (vec![x, factors], to),
            Self::Route { logits, x, to, .. } => (vec![logits, x], to),
            Self::SelectiveScan { x, delta, b, c, to, .. } => (vec![x, delta, b, c], to),
            Self::ExpertProducts { x, factor, to, .. } => (std::iter::once(x).chain(factor).collect(), to),
            Self::Rotary { x, .. } => (vec![], x),
            Self::Norm { x, to, .. }
            | Self::Activation { x, to, .. }
            | Self::Scale { x, to, .. }
            | Self::Mix { x, to }
            | Self::Copy { x, to }
            | Self::Neighbours { x, to, .. }
            | Self::Convolution { x, to, .. }
            | Self::CausalConvolution { x, to, .. }
            | Self::Pool { x, to, .. }
            | Self::Select { x, to } => (vec![x], to),
            Self::CrossAttention { q, to, .. } => (vec![q], to),
        };
        (read, Some(written))
    }

    /// The value that it writes, if any.
    pub(crate) fn to(&self) -> Option<Home> {
        match self {
            Self::Keep { .. } => None,
            Self::Rotary { x: to, .. }
            | Self::Receive { to, .. }
            | Self::LookUp { to, .. }
            | Self::Product { to, .. }
            | Self::Attention { to, .. }
            | Self::Binary { to, .. }
            | Self::Join { to, .. }
            | Self::Norm { to, .. }
            | Self::Activation { to, .. }
            | Self::Scale { to, .. }
            | Self::ScaleRows { to, .. }
            | Self::Route { to, .. }
            | Self::ExpertProducts { to, .. }
            | Self::Mix { to, .. }
            | Self::Copy { to, .. }
            | Self::Neighbours { to, .. }
            | Self::Convolution { to, .. }
            | Self::CausalConvolution { to, .. }
            | Self::SelectiveScan { to, .. }
            | Self::Pool { to, .. }
            | Self::CrossAttention { to, .. }
            | Self::Select { to, .. } => Some(*to),
        }
    }
}

/// A function as the kernels of every device name it.
pub(crate) fn activation(activation: Activation) -> kernels::Activation {
    match activation {
        Activation::Gelu => kernels::Activation::Gelu,
        Activation::GeluTanh => kernels::Activation::GeluTanh,
        Activation::Relu => kernels::Activation::Relu,
        Activation::Silu => kernels::Activation::Silu,
        Activation::Tanh => kernels::Activation::Tanh,
        Activation::Sigmoid => kernels::Activation::Sigmoid,
        Activation::Softplus => kernels::Activation::Softplus,
        Activation::Exp => kernels::Activation::Exp,
    }
}

/// A pooling as the kernels of every device name it.
pub(crate) fn pooling(pooling: Pooling) -> kernels::Pooling {
    match pooling {
        Pooling::First => kernels::Pooling::First,
        Pooling::Last => kernels::Pooling::Last,
        Pooling::Mean => kernels::Pooling::Mean,
        Pooling::Max => kernels::Pooling::Max,
    }
}
