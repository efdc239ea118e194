//! What an architecture writes against: a builder and the values it makes.

use std::ops::{Add, Mul};
use std::panic::Location;
use std::rc::Rc;

use crate::recording::{NativeRecording, Recording};
use crate::{
    Activation, AttentionOptions, Binary, Catalog, CrossAttentionOptions, Embedding, Expert, ExpertsOptions, Input,
    Linear, Norm, Op, Pooling, Relative, Rotary, Shape, TensorInfo, ValueId,
};

/// The author's line, where it is known.
pub type Place = Option<&'static Location<'static>>;

/// Where the operators go: into a native [`Recording`], or from a guest over the plugin boundary to the host's.
pub trait Recorder {
    /// Adds an operator.
    fn record(&self, op: Op, inputs: &[ValueId], at: Place) -> ValueId;
    /// The tensor that a name stands for.
    fn find(&self, name: &str) -> Option<TensorInfo>;
    /// The shape of a value.
    fn shape(&self, value: ValueId) -> Shape;
    /// The layer that what follows belongs to.
    fn set_layer(&self, layer: Option<u32>);
    /// The longest sequence that the model takes, in tokens.
    fn set_max_sequence(&self, tokens: u32);
    /// Makes a value a result.
    fn output(&self, name: &str, value: ValueId, at: Place);
}

/// Makes a graph's inputs, weights, layers and outputs.
///
/// Misuse is not returned from each call: natively the first one is what [`NativeRecording::finish`] fails with, in a
/// guest it traps.
#[derive(Clone)]
pub struct Builder {
    recorder: Rc<dyn Recorder>,
}

impl Builder {
    /// A builder that records natively, and the recording to [finish](NativeRecording::finish) afterwards.
    pub fn native(name: &str, catalog: Catalog) -> (Self, NativeRecording) {
        let (recorder, recording) = NativeRecording::new(Recording::new(name, catalog));
        (Self { recorder }, recording)
    }

    /// A builder over any recorder.
    pub fn over(recorder: Rc<dyn Recorder>) -> Self {
        Self { recorder }
    }

    #[track_caller]
    fn record(&self, op: Op, inputs: &[ValueId]) -> Value {
        let id = self.recorder.record(op, inputs, Some(Location::caller()));
        Value { recorder: Rc::clone(&self.recorder), id }
    }

    /// The ids of the tokens, `[n]`.
    #[track_caller]
    pub fn token_ids(&self) -> Value {
        self.record(Op::Input(Input::TokenIds), &[])
    }

    /// The position of each token in its sequence, from `first` on, `[n]`.
    #[track_caller]
    pub fn positions(&self, first: u32) -> Value {
        self.record(Op::Input(Input::Positions { first, padding: None }), &[])
    }

    /// The position of each token in its sequence as RoBERTa counts them: from `padding + 1` on, without the tokens equal
    /// to `padding`, whose position is that number itself; `[n]`.
    #[track_caller]
    pub fn positions_without(&self, padding: u32) -> Value {
        let first = padding.saturating_add(1);
        self.record(Op::Input(Input::Positions { first, padding: Some(padding) }), &[])
    }

    /// 0 for the tokens of a text, 1 for those of its pair, `[n]`.
    #[track_caller]
    pub fn token_types(&self) -> Value {
        self.record(Op::Input(Input::TokenTypes), &[])
    }

    /// The ids of the tokens of the source texts, `[m]`.
    #[track_caller]
    pub fn source_ids(&self) -> Value {
        self.record(Op::Input(Input::SourceIds), &[])
    }

    /// The position of each token in its source text, from `first` on, `[m]`.
    #[track_caller]
    pub fn source_positions(&self, first: u32) -> Value {
        self.record(Op::Input(Input::SourcePositions { first, padding: None }), &[])
    }

    /// The sines of each row's number times each of `frequencies`, and behind these the cosines:
    /// `[rows, 2 * frequencies]`.
    #[track_caller]
    pub fn sinusoids(&self, rows: u32, frequencies: Vec<f64>) -> Value {
        self.record(Op::Sinusoids { rows, frequencies }, &[])
    }

    /// These numbers, `[1, count]`, in single precision; at most 65536.
    #[track_caller]
    #[must_use]
    pub fn constant(&self, numbers: impl Into<Vec<f64>>) -> Value {
        self.record(Op::Constant { numbers: numbers.into() }, &[])
    }

    /// Shape and type of a tensor of the checkpoint, if it is there.
    pub fn find(&self, name: &str) -> Option<TensorInfo> {
        self.recorder.find(name)
    }

    /// A tensor of the checkpoint.
    #[track_caller]
    pub fn tensor(&self, name: &str) -> Value {
        self.record(Op::Weight { name: name.to_owned() }, &[])
    }

    /// The first of these tensors that the checkpoint has, such as a decoder that may be tied to the embeddings; where
    /// it has none, the last one is reported as missing.
    #[track_caller]
    pub fn first_tensor(&self, names: &[&str]) -> Value {
        let found = names.iter().find(|name| self.find(name).is_some());
        self.tensor(found.or(names.last()).copied().unwrap_or_default())
    }

    /// The linear layer whose tensors are `name.weight` and `name.bias`.
    #[track_caller]
    pub fn linear(&self, name: &str) -> Linear {
        let Linear { weight, .. } = self.linear_no_bias(name);
        Linear { weight, bias: Some(self.tensor(&format!("{name}.bias"))) }
    }

    /// The linear layer whose tensor is `name.weight`.
    #[track_caller]
    pub fn linear_no_bias(&self, name: &str) -> Linear {
        Linear { weight: self.tensor(&format!("{name}.weight")), bias: None }
    }

    /// The layer norm whose tensors are `name.weight` and `name.bias`.
    #[track_caller]
    pub fn norm(&self, name: &str, epsilon: f64) -> Norm {
        let Norm { weight, .. } = self.norm_no_bias(name, epsilon);
        Norm { weight, bias: Some(self.tensor(&format!("{name}.bias"))), epsilon }
    }

    /// The layer norm whose tensor is `name.weight`.
    #[track_caller]
    pub fn norm_no_bias(&self, name: &str, epsilon: f64) -> Norm {
        Norm { weight: self.tensor(&format!("{name}.weight")), bias: None, epsilon }
    }

    /// The embedding whose tensor is `name.weight`.
    #[track_caller]
    pub fn embedding(&self, name: &str) -> Embedding {
        self.table(&format!("{name}.weight"))
    }

    /// An embedding from a tensor of any name.
    #[track_caller]
    pub fn table(&self, tensor: &str) -> Embedding {
        Embedding { table: self.tensor(tensor) }
    }

    /// Runs `describe`; what it records belongs to layer `index`.
    pub fn layer<T>(&self, index: u32, describe: impl FnOnce(&Self) -> T) -> T {
        self.recorder.set_layer(Some(index));
        let described = describe(self);
        self.recorder.set_layer(None);
        described
    }

    /// States the longest sequence that the model takes, in tokens.
    pub fn max_sequence(&self, tokens: u32) {
        self.recorder.set_max_sequence(tokens);
    }

    /// Makes `value` a result; which are expected is said by [`Head`](crate::Head).
    #[track_caller]
    pub fn output(&self, name: &str, value: &Value) {
        self.recorder.output(name, value.id, Some(Location::caller()));
    }
}

/// The position terms of [`Value::attention_disentangled`], at least one of them; see [`Relative::Disentangled`].
#[derive(Clone, Copy)]
pub struct Positions<'a> {
    /// What the query's content meets, `[2 * span, heads * d]`.
    pub keys: Option<&'a Value>,
    /// What the key's content meets, `[2 * span, heads * d]`.
    pub queries: Option<&'a Value>,
    /// The distance that the last bucket reaches; `None` where each row is a distance.
    pub max_distance: Option<u32>,
}

/// A value of the graph being built. Cheap to clone.
#[derive(Clone)]
pub struct Value {
    recorder: Rc<dyn Recorder>,
    id: ValueId,
}

impl Value {
    #[track_caller]
    fn record(&self, op: Op, others: &[&Self]) -> Self {
        let inputs: Vec<ValueId> = std::iter::once(self.id).chain(others.iter().map(|other| other.id)).collect();
        let id = self.recorder.record(op, &inputs, Some(Location::caller()));
        Self { recorder: Rc::clone(&self.recorder), id }
    }

    /// Its shape; empty after a misuse.
    pub fn shape(&self) -> Shape {
        self.recorder.shape(self.id)
    }

    /// The rows of this table `[v, h]` at `ids` `[n]`: `[n, h]`.
    #[track_caller]
    #[must_use]
    pub fn rows(&self, ids: &Self) -> Self {
        self.record(Op::Rows, &[ids])
    }

    /// `self weight^T + bias`: `[rows, i]` and `[o, i]` give `[rows, o]`.
    #[track_caller]
    #[must_use]
    pub fn linear(&self, weight: &Self, bias: Option<&Self>) -> Self {
        match bias {
            Some(bias) => self.record(Op::Linear, &[weight, bias]),
            None => self.record(Op::Linear, &[weight]),
        }
    }

    /// Normalises each row to mean 0 and variance 1, then scales and shifts it; with [`Builder::ones`] for a weight, it
    /// only normalises.
    #[track_caller]
    #[must_use]
    pub fn layer_norm(&self, weight: &Self, bias: Option<&Self>, epsilon: f64) -> Self {
        match bias {
            Some(bias) => self.record(Op::LayerNorm { epsilon }, &[weight, bias]),
            None => self.record(Op::LayerNorm { epsilon }, &[weight]),
        }
    }

    /// Divides each row by the root of the mean of its squares, then scales it. A weight shorter than the row is for each
    /// part of its length apart, such as each head; [`Builder::ones`] stands for the weight of a norm that has none.
    #[track_caller]
    #[must_use]
    pub fn rms_norm(&self, weight: &Self, epsilon: f64) -> Self {
        self.rms_norm_offset(weight, epsilon, 0.0)
    }

    /// The same with `offset` added to the weight.
    #[track_caller]
    #[must_use]
    pub fn rms_norm_offset(&self, weight: &Self, epsilon: f64, offset: f64) -> Self {
        self.record(Op::RmsNorm { epsilon, offset }, &[weight])
    }

    /// `[a, b]` of known sizes gives `[b, a]`.
    #[track_caller]
    #[must_use]
    pub fn transpose(&self) -> Self {
        self.record(Op::Transpose, &[])
    }

    /// `factor * self`.
    #[track_caller]
    #[must_use]
    pub fn scale(&self, factor: f64) -> Self {
        self.record(Op::Scale { factor }, &[])
    }

    /// `width` columns from `start` on: `[rows, w]` gives `[rows, width]`.
    #[track_caller]
    #[must_use]
    pub fn columns(&self, start: u32, width: u32) -> Self {
        self.record(Op::Columns { start, width }, &[])
    }

    /// This `[rows, parts * v]` and `other` `[rows, parts * w]` side by side, part by part: `[rows, parts * (v + w)]`. One
    /// part is `torch.cat([self, other], -1)`; as many parts as heads concatenate heads, as that does of
    /// `[rows, heads, v]` and `[rows, heads, w]`.
    #[track_caller]
    #[must_use]
    pub fn join(&self, other: &Self, parts: u32) -> Self {
        self.record(Op::Join { parts }, &[other])
    }

    /// Rotates each head of `[n, heads * head_size]` by the token's position.
    #[track_caller]
    #[must_use]
    pub fn rotary(&self, rotary: &Rotary) -> Self {
        self.record(Op::Rotary(rotary.clone()), &[])
    }

    /// Convolution over the tokens of each sequence: `[n, i]` and `[o, i / groups, k]` give `[n, o]`.
    #[track_caller]
    #[must_use]
    pub fn convolution(&self, weight: &Self, bias: Option<&Self>, groups: u32) -> Self {
        match bias {
            Some(bias) => self.record(Op::Convolution { groups }, &[weight, bias]),
            None => self.record(Op::Convolution { groups }, &[weight]),
        }
    }

    /// Convolution of each column of `[n, w]` over a token and those before it in its sequence, with zeros before the
    /// first: `weight` is `[w, k]` or `[w, 1, k]`, its last number the token's own.
    #[track_caller]
    #[must_use]
    pub fn causal_convolution(&self, weight: &Self, bias: Option<&Self>) -> Self {
        match bias {
            Some(bias) => self.record(Op::CausalConvolution, &[weight, bias]),
            None => self.record(Op::CausalConvolution, &[weight]),
        }
    }

    /// Mamba's recurrence over the tokens of each sequence of this `[n, w]`, with a state `h [w, s]` that begins with zeros:
    /// `h = exp(delta a) h + delta b x`, `y = h c + d x`. `delta` is `[n, w]`, `a` `[w, s]`, `b` and `c` are `[n, s]`, and
    /// `d` is `[w]`; `a` and `d` depend on weights alone.
    #[track_caller]
    #[must_use]
    pub fn selective_scan(&self, delta: &Self, a: &Self, b: &Self, c: &Self, d: Option<&Self>) -> Self {
        match d {
            Some(d) => self.record(Op::SelectiveScan, &[delta, a, b, c, d]),
            None => self.record(Op::SelectiveScan, &[delta, a, b, c]),
        }
    }

    /// Applies a function to each element.
    #[track_caller]
    #[must_use]
    pub fn activation(&self, activation: Activation) -> Self {
        self.record(Op::Activation(activation), &[])
    }

    /// Attention of these queries `[n, heads * d]` over `keys` and `values` of the same sequences.
    #[track_caller]
    #[must_use]
    pub fn attention(&self, keys: &Self, values: &Self, options: AttentionOptions) -> Self {
        self.record(Op::Attention(options), &[keys, values])
    }

    /// The same, with a number of the table `bias` `[buckets, heads]` added to each score ([`Relative::Bias`]).
    #[track_caller]
    #[must_use]
    pub fn attention_biased(
        &self,
        keys: &Self,
        values: &Self,
        bias: &Self,
        max_distance: u32,
        options: AttentionOptions,
    ) -> Self {
        let options = AttentionOptions { relative: Some(Relative::Bias { max_distance }), ..options };
        self.record(Op::Attention(options), &[keys, values, bias])
    }

    /// The same, with the distance times the slope of its head taken away from each score ([`Relative::Alibi`]); `slopes` is
    /// `[heads]` or `[1, heads]`, such as [`constant`](Builder::constant) makes of [`alibi_slopes`](crate::alibi_slopes).
    #[track_caller]
    #[must_use]
    pub fn attention_alibi(&self, keys: &Self, values: &Self, slopes: &Self, options: AttentionOptions) -> Self {
        let options = AttentionOptions { relative: Some(Relative::Alibi), ..options };
        self.record(Op::Attention(options), &[keys, values, slopes])
    }

    /// The same, with products of contents and positions added to each score ([`Relative::Disentangled`]).
    #[track_caller]
    #[must_use]
    pub fn attention_disentangled(
        &self,
        keys: &Self,
        values: &Self,
        positions: Positions<'_>,
        options: AttentionOptions,
    ) -> Self {
        let Positions { keys: position_keys, queries: position_queries, max_distance } = positions;
        let relative =
            Relative::Disentangled { keys: position_keys.is_some(), queries: position_queries.is_some(), max_distance };
        let options = AttentionOptions { relative: Some(relative), ..options };
        let others: Vec<&Self> = [keys, values].into_iter().chain(position_keys).chain(position_queries).collect();
        self.record(Op::Attention(options), &others)
    }

    /// Attention of these queries `[n, heads * d]` over `keys` and `values` `[m, key_value_heads * d]` of their sources.
    #[track_caller]
    #[must_use]
    pub fn cross_attention(&self, keys: &Self, values: &Self, options: CrossAttentionOptions) -> Self {
        self.record(Op::CrossAttention(options), &[keys, values])
    }

    /// What the experts make of each row of `[n, h]` that `logits` `[n, experts]` choose for it, summed: `[n, h]`.
    #[track_caller]
    #[must_use]
    pub fn experts(&self, logits: &Self, experts: &[Expert], options: ExpertsOptions) -> Self {
        let weights = experts.iter().flat_map(|expert| [&expert.gate, &expert.up, &expert.down]);
        let others: Vec<&Self> = std::iter::once(logits).chain(weights).collect();
        self.record(Op::Experts(options), &others)
    }

    /// One row for each sequence: `[n, h]` gives `[s, h]`.
    #[track_caller]
    #[must_use]
    pub fn pool(&self, pooling: Pooling) -> Self {
        self.record(Op::Pool(pooling), &[])
    }

    /// The rows that the caller asks for: `[n, h]` gives `[r, h]`.
    #[track_caller]
    #[must_use]
    pub fn select_rows(&self) -> Self {
        self.record(Op::SelectRows, &[])
    }
}

impl Add for &Value {
    type Output = Value;

    #[track_caller]
    fn add(self, other: Self) -> Value {
        self.record(Op::Binary(Binary::Add), &[other])
    }
}

/// Of two equal shapes, or with one column that has a factor for each row.
impl Mul for &Value {
    type Output = Value;

    #[track_caller]
    fn mul(self, other: Self) -> Value {
        self.record(Op::Binary(Binary::Multiply), &[other])
    }
}
