//! The operators.

use std::fmt;
use std::str::FromStr;

/// What the host feeds into a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// `input_ids`, `[n]`.
    TokenIds,
    /// The position of each token in its own sequence, from 0, `[n]`.
    Positions,
    /// `token_type_ids`: 0 for a text, 1 for its pair, `[n]`.
    TokenTypes,
}

impl Input {
    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenIds => "token-ids",
            Self::Positions => "positions",
            Self::TokenTypes => "token-types",
        }
    }
}

/// A function of one number, applied to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * (1 + erf(x / sqrt(2))) / 2`
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `x / (1 + exp(-x))`
    Silu,
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Gelu, Self::GeluTanh, Self::Relu, Self::Silu, Self::Tanh, Self::Sigmoid];

    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu-tanh",
            Self::Relu => "relu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// The names that `config.json` uses (the keys of `ACT2FN` in transformers).
const CONFIG_ACTIVATIONS: &[(&str, Activation)] = &[
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

impl FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = CONFIG_ACTIVATIONS.iter().find(|(known, _)| *known == name);
        known.map(|(_, activation)| *activation).ok_or(UnknownActivation)
    }
}

/// A name that is none of the activations this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownActivation;

impl fmt::Display for UnknownActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of")?;
        for (index, (name, _)) in CONFIG_ACTIVATIONS.iter().enumerate() {
            write!(f, "{} `{name}`", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// An operator of two equal shapes, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a * b`
    Multiply,
}

impl Binary {
    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Multiply => "multiply",
        }
    }
}

/// How the tokens of a sequence become one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The first token (`[CLS]` in BERT).
    First,
    /// The last token.
    Last,
    /// The mean over the tokens.
    Mean,
    /// The maximum over the tokens, for each column.
    Max,
}

impl Pooling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::First, Self::Last, Self::Mean, Self::Max];

    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }
}

/// How attention is computed: `softmax(scale * q k^T) v` for each head, within each sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// Query heads; the width of `q` is `heads * head size`.
    pub heads: u32,
    /// Key and value heads, a divisor of `heads`; each serves `heads / key_value_heads` query heads.
    pub key_value_heads: u32,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// Factor of the scores; by default `1 / sqrt(head size)`.
    pub scale: Option<f64>,
}

impl AttentionOptions {
    /// Bidirectional attention with as many key and value heads as query heads.
    pub fn bidirectional(heads: u32) -> Self {
        Self { heads, key_value_heads: heads, causal: false, scale: None }
    }
}

/// An operator; its operands are the inputs of its node, in the order given here.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// What the host feeds in; no operands.
    Input(Input),
    /// A tensor of the checkpoint, by the name it has there; no operands.
    Weight {
        /// The checkpoint's name.
        name: String,
    },
    /// `table [v, h]`, `ids [n]` of indices below `v` -> `[n, h]`.
    Rows,
    /// `x [rows, i]`, `weight [o, i]`, and where there is a bias `bias [o]` -> `x weight^T + bias`, `[rows, o]`.
    Linear,
    /// `x [rows, h]`, `weight [h]`, `bias [h]` -> `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// `x` -> the same shape.
    Activation(Activation),
    /// `a`, `b` of one shape -> that shape.
    Binary(Binary),
    /// `q [n, heads * d]`, `k [n, key_value_heads * d]`, `v [n, key_value_heads * d]` -> `[n, heads * d]`.
    Attention(AttentionOptions),
    /// `x [n, h]` -> `[s, h]`.
    Pool(Pooling),
    /// `x [n, h]` -> `[r, h]`, the rows that the caller asks for.
    SelectRows,
}

impl Op {
    /// The operator's name in errors and printed graphs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(input) => input.name(),
            Self::Weight { .. } => "weight",
            Self::Rows => "rows",
            Self::Linear => "linear",
            Self::LayerNorm { .. } => "layer-norm",
            Self::Activation(_) => "activation",
            Self::Binary(binary) => binary.name(),
            Self::Attention(_) => "attention",
            Self::Pool(_) => "pool",
            Self::SelectRows => "select-rows",
        }
    }

    /// The names of the operands, in order; a trailing one may be absent for `linear`.
    pub fn operands(&self) -> &'static [&'static str] {
        match self {
            Self::Input(_) | Self::Weight { .. } => &[],
            Self::Rows => &["table", "ids"],
            Self::Linear => &["x", "weight", "bias"],
            Self::LayerNorm { .. } => &["x", "weight", "bias"],
            Self::Activation(_) | Self::Pool(_) | Self::SelectRows => &["x"],
            Self::Binary(_) => &["a", "b"],
            Self::Attention(_) => &["q", "k", "v"],
        }
    }
}
