//! Carries the graph API over the plugin interface.

use std::cell::RefCell;

use runtime_graph::{
    Activation, AttentionOptions, Binary, CrossAttentionOptions, DType, Dim, ExpertsOptions, Head, Input, Op, Place,
    Pooling, Recorder, Refusal, Relative, Rotary, Shape, TensorInfo, ValueId,
};

use crate::wit;
use crate::wit::inference::runtime::{graph, types, weights};

/// The host's graph. Its values are handles; a [`ValueId`] is the number of a handle in this table.
#[derive(Default)]
pub(crate) struct HostGraph {
    values: RefCell<Vec<graph::Value>>,
}

impl HostGraph {
    fn keep(&self, value: graph::Value) -> ValueId {
        let mut values = self.values.borrow_mut();
        // The host allows far fewer handles than a `u32` counts.
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        values.push(value);
        ValueId::from_number(number)
    }

    fn apply(&self, op: Op, inputs: &[ValueId]) -> graph::Value {
        let values = self.values.borrow();
        let input = |index: usize| &values[inputs[index].index()];
        let bias = || (inputs.len() > 2).then(|| input(2));
        match op {
            Op::Input(Input::TokenIds) => graph::token_ids(),
            Op::Input(Input::Positions { first, padding }) => graph::positions(first, padding),
            Op::Input(Input::TokenTypes) => graph::token_types(),
            Op::Input(Input::SourceIds) => graph::source_ids(),
            Op::Input(Input::SourcePositions { first, padding }) => graph::source_positions(first, padding),
            Op::Constant { numbers } => graph::constant(&numbers),
            Op::Sinusoids { rows, frequencies } => graph::sinusoids(rows, &frequencies),
            Op::Weight { name } => weights::tensor(&name),
            Op::Rows => input(0).rows(input(1)),
            Op::Linear => input(0).linear(input(1), bias()),
            Op::LayerNorm { epsilon } => input(0).layer_norm(input(1), bias(), epsilon),
            Op::RmsNorm { epsilon, offset } => input(0).rms_norm(input(1), epsilon, offset),
            Op::Transpose => input(0).transpose(),
            Op::Scale { factor } => input(0).scale(factor),
            Op::Columns { start, width } => input(0).columns(start, width),
            Op::Join { parts } => input(0).join(input(1), parts),
            Op::Rotary(Rotary { head_size, frequencies, factor }) => input(0).rotary(head_size, &frequencies, factor),
            Op::Convolution { groups } => input(0).convolution(input(1), bias(), groups),
            Op::CausalConvolution => input(0).causal_convolution(input(1), bias()),
            Op::SelectiveScan => {
                let d = (inputs.len() > 5).then(|| input(5));
                input(0).selective_scan(input(1), input(2), input(3), input(4), d)
            }
            Op::Activation(activation) => input(0).activation(activation.into()),
            Op::Binary(Binary::Add) => input(0).add(input(1)),
            Op::Binary(Binary::Multiply) => input(0).multiply(input(1)),
            Op::Attention(options) => {
                let (query, key, value) = (input(0), input(1), input(2));
                match options.relative {
                    None => query.attention(key, value, options.into()),
                    Some(Relative::Bias { max_distance }) => {
                        query.attention_biased(key, value, input(3), max_distance, options.into())
                    }
                    Some(Relative::Alibi) => query.attention_alibi(key, value, input(3), options.into()),
                    Some(Relative::Disentangled { keys, queries, max_distance }) => {
                        let last = inputs.len() - 1;
                        let (keys, queries) = (keys.then(|| input(3)), queries.then(|| input(last)));
                        let positions = graph::PositionTerms { keys, queries, max_distance };
                        query.attention_disentangled(key, value, &positions, options.into())
                    }
                }
            }
            Op::CrossAttention(CrossAttentionOptions { heads, key_value_heads, scale }) => {
                let options = graph::CrossAttentionOptions { heads, key_value_heads, scale };
                input(0).cross_attention(input(1), input(2), options)
            }
            Op::Experts(ExpertsOptions { top_k, normalise, activation }) => {
                let expert = |at: usize| graph::Expert { gate: input(at), up: input(at + 1), down: input(at + 2) };
                let experts: Vec<_> = (2..inputs.len()).step_by(3).map(expert).collect();
                let options = graph::ExpertsOptions { top_k, normalise, activation: activation.into() };
                input(0).experts(input(1), &experts, options)
            }
            Op::Pool(pooling) => input(0).pool(pooling.into()),
            Op::SelectRows => input(0).select_rows(),
            Op::Received { .. } => unreachable!("no builder makes parts of a graph"),
        }
    }
}

impl Recorder for HostGraph {
    fn record(&self, op: Op, inputs: &[ValueId], _: Place) -> ValueId {
        let value = self.apply(op, inputs);
        self.keep(value)
    }

    fn find(&self, name: &str) -> Option<TensorInfo> {
        let weights::TensorInfo { name, shape, dtype } = weights::find(name)?;
        Some(TensorInfo { name, shape, dtype: dtype.into() })
    }

    fn shape(&self, value: ValueId) -> Shape {
        let dims = self.values.borrow()[value.index()].shape();
        Shape::new(dims.into_iter().map(Dim::from).collect::<Vec<_>>())
    }

    fn set_layer(&self, layer: Option<u32>) {
        graph::layer(layer);
    }

    fn set_max_sequence(&self, tokens: u32) {
        graph::max_sequence(tokens);
    }

    fn output(&self, name: &str, value: ValueId, _: Place) {
        graph::output(name, &self.values.borrow()[value.index()]);
    }
}

impl From<Activation> for graph::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Relu => Self::Relu,
            Activation::Silu => Self::Silu,
            Activation::Tanh => Self::Tanh,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Softplus => Self::Softplus,
            Activation::Exp => Self::Exp,
        }
    }
}

impl From<Pooling> for graph::Pooling {
    fn from(pooling: Pooling) -> Self {
        match pooling {
            Pooling::First => Self::First,
            Pooling::Last => Self::Last,
            Pooling::Mean => Self::Mean,
            Pooling::Max => Self::Max,
        }
    }
}

impl From<AttentionOptions> for graph::AttentionOptions {
    fn from(options: AttentionOptions) -> Self {
        let AttentionOptions { heads, key_value_heads, causal, scale, window, soft_cap, relative: _ } = options;
        Self { heads, key_value_heads, causal, scale, window, soft_cap }
    }
}

impl From<graph::Dim> for Dim {
    fn from(dim: graph::Dim) -> Self {
        match dim {
            graph::Dim::Tokens => Self::Tokens,
            graph::Dim::Source => Self::Source,
            graph::Dim::Sequences => Self::Sequences,
            graph::Dim::Rows => Self::Rows,
            graph::Dim::Fixed(size) => Self::Fixed(size),
        }
    }
}

impl From<weights::Dtype> for DType {
    fn from(dtype: weights::Dtype) -> Self {
        match dtype {
            weights::Dtype::F32 => Self::F32,
            weights::Dtype::F16 => Self::F16,
            weights::Dtype::Bf16 => Self::BF16,
        }
    }
}

impl From<Head> for types::Head {
    fn from(head: Head) -> Self {
        match head {
            Head::Base => Self::Base,
            Head::SequenceClassification => Self::SequenceClassification,
            Head::TokenClassification => Self::TokenClassification,
            Head::QuestionAnswering => Self::QuestionAnswering,
            Head::MaskedLm => Self::MaskedLm,
            Head::CausalLm => Self::CausalLm,
            Head::Seq2SeqLm => Self::Seq2seqLm,
        }
    }
}

impl From<types::Head> for Head {
    fn from(head: types::Head) -> Self {
        match head {
            types::Head::Base => Self::Base,
            types::Head::SequenceClassification => Self::SequenceClassification,
            types::Head::TokenClassification => Self::TokenClassification,
            types::Head::QuestionAnswering => Self::QuestionAnswering,
            types::Head::MaskedLm => Self::MaskedLm,
            types::Head::CausalLm => Self::CausalLm,
            types::Head::Seq2seqLm => Self::Seq2SeqLm,
        }
    }
}

impl From<Refusal> for wit::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAnObject { reason } => Self::NotAnObject(reason),
            Refusal::Missing { field } => Self::Missing(field),
            Refusal::Wrong { field, expected, found } => Self::Wrong(types::WrongField { field, expected, found }),
            Refusal::Unsupported { field, value, supported } => {
                Self::Unsupported(types::UnsupportedValue { field, value, supported })
            }
        }
    }
}
