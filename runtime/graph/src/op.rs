//! The operators.

use std::fmt;
use std::str::FromStr;

use crate::{Dim, Relative, Rotary};

/// What the host feeds into a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// `input_ids`, `[n]`.
    TokenIds,
    /// The position of each token in its own sequence, `[n]`, counted from `first`. Tokens equal to `padding` are not
    /// counted and have that number themselves (RoBERTa counts so).
    Positions {
        /// The position of the first token.
        first: u32,
        /// The token that is not counted.
        padding: Option<u32>,
    },
    /// `token_type_ids`: 0 for a text, 1 for its pair, `[n]`.
    TokenTypes,
    /// The `input_ids` of the source texts, `[m]`.
    SourceIds,
    /// The position of each token in its source text, `[m]`, counted as [`Self::Positions`] are.
    SourcePositions {
        /// The position of the first token.
        first: u32,
        /// The token that is not counted.
        padding: Option<u32>,
    },
}

impl Input {
    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenIds => "token-ids",
            Self::Positions { .. } => "positions",
            Self::TokenTypes => "token-types",
            Self::SourceIds => "source-ids",
            Self::SourcePositions { .. } => "source-positions",
        }
    }

    /// What it has an index for.
    pub fn rows(self) -> Dim {
        match self {
            Self::TokenIds | Self::Positions { .. } | Self::TokenTypes => Dim::Tokens,
            Self::SourceIds | Self::SourcePositions { .. } => Dim::Source,
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
    /// `log(1 + exp(x))`
    Softplus,
    /// `exp(x)`
    Exp,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Gelu, Self::GeluTanh, Self::Relu, Self::Silu, Self::Tanh, Self::Sigmoid, Self::Softplus, Self::Exp];

    /// Its name in a printed graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu-tanh",
            Self::Relu => "relu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softplus => "softplus",
            Self::Exp => "exp",
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

/// How attention is computed: `softmax(scale * q k^T + relative) v` for each head, within each sequence.
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
    /// How far away a token may be to be seen, to each side; any distance by default.
    pub window: Option<u32>,
    /// `c` in `c tanh(score / c)`, which bounds the scaled scores; none by default.
    pub soft_cap: Option<f64>,
    /// What the distance between two tokens adds to their score.
    pub relative: Option<Relative>,
}

impl AttentionOptions {
    /// Bidirectional attention with as many key and value heads as query heads.
    pub fn bidirectional(heads: u32) -> Self {
        Self { heads, key_value_heads: heads, causal: false, scale: None, window: None, soft_cap: None, relative: None }
    }

    /// Attention in which a token sees itself and those before it.
    pub fn causal(heads: u32, key_value_heads: u32) -> Self {
        Self { key_value_heads, causal: true, ..Self::bidirectional(heads) }
    }
}

/// How the tokens of a text attend to those of its source: `softmax(scale * q k^T) v` for each head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossAttentionOptions {
    /// Query heads; the width of `q` is `heads * head size`.
    pub heads: u32,
    /// Key and value heads, a divisor of `heads`; each serves `heads / key_value_heads` query heads.
    pub key_value_heads: u32,
    /// Factor of the scores; by default `1 / sqrt(head size)`.
    pub scale: Option<f64>,
}

impl CrossAttentionOptions {
    /// As many key and value heads as query heads.
    pub fn new(heads: u32) -> Self {
        Self { heads, key_value_heads: heads, scale: None }
    }
}

/// How a mixture of experts is computed, each of which is `down (activation(gate x) * (up x))`.
///
/// The weights of the experts are the softmax over the logits of all; a token's result is the sum over the `top_k`
/// experts of the greatest logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExpertsOptions {
    /// Experts for each token; of equal logits, the first ones.
    pub top_k: u32,
    /// Whether the weights of a token's experts are divided by their sum.
    pub normalise: bool,
    /// What is applied to the gate.
    pub activation: Activation,
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
    /// `x [rows, i]`, `weight [o, i]`, and where there is a bias `bias [o]` or `[1, o]` -> `x weight^T + bias`,
    /// `[rows, o]`.
    Linear,
    /// `x [rows, h]`, `weight [h]` or `[1, h]`, and where there is a bias `bias [h]` or `[1, h]` ->
    /// `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// `x [rows, h]`, `weight [w]` or `[1, w]` -> `x / sqrt(mean of squares + epsilon) * (weight + offset)`, for each `w`
    /// columns apart.
    RmsNorm {
        /// Added to the mean of squares.
        epsilon: f64,
        /// Added to the weight: 1 in Gemma, else 0.
        offset: f64,
    },
    /// `x` -> the same shape.
    Activation(Activation),
    /// `a`, `b` of one shape -> that shape. The second factor may also be one column, with a number for each row.
    Binary(Binary),
    /// `factor * x` -> the same shape.
    Scale {
        /// The factor.
        factor: f64,
    },
    /// `x [rows, w]` -> `[rows, width]`, the columns from `start` on.
    Columns {
        /// The first column.
        start: u32,
        /// How many.
        width: u32,
    },
    /// `a [rows, parts * v]`, `b [rows, parts * w]` -> `[rows, parts * (v + w)]`: each part of `a` and the same part of
    /// `b` side by side.
    Join {
        /// Parts of each row, such as heads; 1 puts whole rows side by side.
        parts: u32,
    },
    /// `x [a, b]` of known sizes -> `[b, a]`.
    Transpose,
    /// Rotary position embedding, `x [n, heads * head_size]` -> the same shape.
    Rotary(Rotary),
    /// `x [n, i]`, `weight [o, i / groups, k]` of an odd `k`, and where there is a bias `bias [o]` -> `[n, o]`: a
    /// convolution over the tokens of each sequence, with `(k - 1) / 2` zeros before and after it.
    Convolution {
        /// Groups of columns that are convolved apart.
        groups: u32,
    },
    /// `x [n, w]`, `weight [w, k]` or `[w, 1, k]`, and where there is a bias `bias [w]` -> `[n, w]`: each column convolved
    /// apart over a token and the `k - 1` before it in its sequence, with zeros before the first one. The last weight is
    /// the token's own.
    CausalConvolution,
    /// `x [n, w]`, `delta [n, w]`, `a [w, s]`, `b [n, s]`, `c [n, s]`, and where it is there `d [w]` -> `[n, w]`: along each
    /// sequence, from a state `h [w, s]` of zeros on, `h = exp(delta a) h + delta b x` and `y = h c + d x`.
    SelectiveScan,
    /// `q [n, heads * d]`, `k [n, key_value_heads * d]`, `v [n, key_value_heads * d]`, and what
    /// [`AttentionOptions::relative`] takes -> `[n, heads * d]`; or all of them over the tokens `m` of the sources.
    Attention(AttentionOptions),
    /// `q [n, heads * d]`, `k [m, key_value_heads * d]`, `v [m, key_value_heads * d]` -> `[n, heads * d]`: each token
    /// attends to all tokens of its source.
    CrossAttention(CrossAttentionOptions),
    /// `x [n, h]`, `logits [n, experts]`, and for each expert `gate [i, h]`, `up [i, h]`, `down [h, i]` -> `[n, h]`: the
    /// weighted sum of what each token's experts make of it.
    Experts(ExpertsOptions),
    /// These numbers, `[1, count]`, no operands.
    Constant {
        /// The numbers.
        numbers: Vec<f64>,
    },
    /// `sin(row * frequency)` for each frequency, and behind these the cosines; `[rows, 2 * frequencies]`, no operands.
    Sinusoids {
        /// How many rows.
        rows: u32,
        /// The frequencies.
        frequencies: Vec<f64>,
    },
    /// `x [n, h]` -> `[s, h]`.
    Pool(Pooling),
    /// `x [n, h]` -> `[r, h]`, the rows that the caller asks for.
    SelectRows,
    /// In a part of a graph that was cut, what a part before it has computed; no operands. It cannot be recorded.
    Received {
        /// Its number among those that are fed in together.
        number: u32,
    },
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
            Self::RmsNorm { .. } => "rms-norm",
            Self::Scale { .. } => "scale",
            Self::Columns { .. } => "columns",
            Self::Join { .. } => "join",
            Self::Transpose => "transpose",
            Self::Rotary(_) => "rotary",
            Self::Convolution { .. } => "convolution",
            Self::CausalConvolution => "causal-convolution",
            Self::SelectiveScan => "selective-scan",
            Self::Activation(_) => "activation",
            Self::Binary(binary) => binary.name(),
            Self::Attention(_) => "attention",
            Self::CrossAttention(_) => "cross-attention",
            Self::Experts(_) => "experts",
            Self::Constant { .. } => "constant",
            Self::Sinusoids { .. } => "sinusoids",
            Self::Pool(_) => "pool",
            Self::SelectRows => "select-rows",
            Self::Received { .. } => "received",
        }
    }

    /// The names of the operands, in order; a trailing `bias` or `d` may be absent, and the last three are for each expert.
    pub fn operands(&self) -> &'static [&'static str] {
        match self {
            Self::Input(_)
            | Self::Weight { .. }
            | Self::Constant { .. }
            | Self::Sinusoids { .. }
            | Self::Received { .. } => &[],
            Self::Rows => &["table", "ids"],
            Self::Linear | Self::LayerNorm { .. } | Self::Convolution { .. } | Self::CausalConvolution => {
                &["x", "weight", "bias"]
            }
            Self::SelectiveScan => &["x", "delta", "a", "b", "c", "d"],
            Self::RmsNorm { .. } => &["x", "weight"],
            Self::Activation(_)
            | Self::Scale { .. }
            | Self::Columns { .. }
            | Self::Transpose
            | Self::Rotary(_)
            | Self::Pool(_)
            | Self::SelectRows => &["x"],
            Self::Binary(_) | Self::Join { .. } => &["a", "b"],
            Self::CrossAttention(_) => &["q", "k", "v"],
            Self::Experts(_) => &["x", "logits", "gate", "up", "down"],
            Self::Attention(options) => match options.relative {
                None => &["q", "k", "v"],
                Some(Relative::Bias { .. }) => &["q", "k", "v", "bias"],
                Some(Relative::Alibi) => &["q", "k", "v", "slopes"],
                Some(Relative::Disentangled { keys: true, queries: false, .. }) => &["q", "k", "v", "position keys"],
                Some(Relative::Disentangled { keys: false, queries: true, .. }) => &["q", "k", "v", "position queries"],
                Some(Relative::Disentangled { .. }) => &["q", "k", "v", "position keys", "position queries"],
            },
        }
    }
}
