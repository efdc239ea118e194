//! The world `architecture` over a [`Recording`](runtime_graph::Recording).
//!
//! A handle's number in the host is the node's number in the graph, which the guest never sees, so there is no table.

use runtime_graph as native;
use runtime_graph::{Binary, Input, MAX_LAYERS, Op, Refusal, Relative, ValueId};
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Result, Store};

use crate::error::Cause;
use crate::state::Building;
use crate::{Description, text};

#[expect(unreachable_pub, reason = "generated")]
mod bindings {
    /// A value of the graph, as the guest holds it.
    pub enum Node {}

    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "architecture",
        with: { "inference:runtime/graph.value": crate::v0_1::architecture::bindings::Node },
        imports: { default: trappable },
    });
}

use bindings::inference::runtime::{graph, types, weights};
use bindings::{Architecture, ArchitecturePre, Node};

/// Bytes of a name, at most; the longest in known checkpoints have about 100.
const NAME: usize = 1024;

/// Outputs of a graph, at most.
const OUTPUTS: usize = 64;

/// Gives `linker` all that the world imports.
pub(crate) fn add_to_linker(linker: &mut Linker<Building>) -> Result<()> {
    Architecture::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// A component that fits the world, ready to be instantiated.
pub(crate) struct Interface(ArchitecturePre<Building>);

impl Interface {
    pub(crate) fn new(linker: &Linker<Building>, component: &Component) -> Result<Self> {
        Ok(Self(ArchitecturePre::new(linker.instantiate_pre(component)?)?))
    }

    pub(crate) fn describe(&self, store: &mut Store<Building>) -> Result<Description> {
        let description = self.0.instantiate(&mut *store)?.call_describe(store)?;
        let types::Description { name, version, model_types, base_prefix, heads } = description;
        let heads = heads.into_iter().map(native::Head::from).collect();
        Ok(Description { name, version, model_types, base_prefix, heads })
    }

    pub(crate) fn build(
        &self,
        store: &mut Store<Building>,
        config: &str,
        head: native::Head,
    ) -> Result<Result<(), Refusal>> {
        let answer = self.0.instantiate(&mut *store)?.call_build(store, config, head.into())?;
        Ok(answer.map_err(Refusal::from))
    }
}

/// Its number is that of a node of the graph.
type Value = Resource<Node>;

impl Building {
    fn record<'v>(&mut self, op: Op, inputs: impl IntoIterator<Item = &'v Value>) -> Result<Value> {
        let inputs: Vec<ValueId> = inputs.into_iter().map(|value| ValueId::from_number(value.rep())).collect();
        Ok(Value::new_own(self.recording.record(op, &inputs, None)?.number()))
    }
}

impl graph::Host for Building {
    fn token_ids(&mut self) -> Result<Value> {
        self.record(Op::Input(Input::TokenIds), [])
    }

    fn positions(&mut self, first: u32, padding: Option<u32>) -> Result<Value> {
        self.record(Op::Input(Input::Positions { first, padding }), [])
    }

    fn token_types(&mut self) -> Result<Value> {
        self.record(Op::Input(Input::TokenTypes), [])
    }

    fn source_ids(&mut self) -> Result<Value> {
        self.record(Op::Input(Input::SourceIds), [])
    }

    fn source_positions(&mut self, first: u32, padding: Option<u32>) -> Result<Value> {
        self.record(Op::Input(Input::SourcePositions { first, padding }), [])
    }

    fn constant(&mut self, numbers: Vec<f64>) -> Result<Value> {
        self.record(Op::Constant { numbers }, [])
    }

    fn sinusoids(&mut self, rows: u32, frequencies: Vec<f64>) -> Result<Value> {
        self.record(Op::Sinusoids { rows, frequencies }, [])
    }

    fn layer(&mut self, index: Option<u32>) -> Result<()> {
        if let Some(index) = index.filter(|index| *index >= MAX_LAYERS) {
            return Err(Cause::Rule(format!("it began layer {index}; there can be {MAX_LAYERS}")).into());
        }
        self.recording.set_layer(index);
        Ok(())
    }

    fn max_sequence(&mut self, tokens: u32) -> Result<()> {
        if tokens == 0 {
            return Err(Cause::Rule("it allows sequences of no token".to_owned()).into());
        }
        self.recording.set_max_sequence(tokens);
        Ok(())
    }

    fn output(&mut self, name: String, value: Value) -> Result<()> {
        check_name(&name)?;
        if self.outputs == OUTPUTS {
            return Err(Cause::Rule(format!("it has more than {OUTPUTS} outputs")).into());
        }
        self.outputs += 1;
        Ok(self.recording.output(&name, ValueId::from_number(value.rep()), None)?)
    }
}

impl graph::HostValue for Building {
    fn shape(&mut self, this: Value) -> Result<Vec<graph::Dim>> {
        let shape = self.recording.shape(ValueId::from_number(this.rep()));
        Ok(shape.map_or_else(Vec::new, |shape| shape.dims().iter().map(|&dim| dim.into()).collect()))
    }

    fn rows(&mut self, this: Value, ids: Value) -> Result<Value> {
        self.record(Op::Rows, [&this, &ids])
    }

    fn linear(&mut self, this: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        self.record(Op::Linear, [&this, &weight].into_iter().chain(&bias))
    }

    fn layer_norm(&mut self, this: Value, weight: Value, bias: Option<Value>, epsilon: f64) -> Result<Value> {
        self.record(Op::LayerNorm { epsilon }, [&this, &weight].into_iter().chain(&bias))
    }

    fn rms_norm(&mut self, this: Value, weight: Value, epsilon: f64, offset: f64) -> Result<Value> {
        self.record(Op::RmsNorm { epsilon, offset }, [&this, &weight])
    }

    fn scale(&mut self, this: Value, factor: f64) -> Result<Value> {
        self.record(Op::Scale { factor }, [&this])
    }

    fn columns(&mut self, this: Value, start: u32, width: u32) -> Result<Value> {
        self.record(Op::Columns { start, width }, [&this])
    }

    fn join(&mut self, this: Value, other: Value, parts: u32) -> Result<Value> {
        self.record(Op::Join { parts }, [&this, &other])
    }

    fn transpose(&mut self, this: Value) -> Result<Value> {
        self.record(Op::Transpose, [&this])
    }

    fn rotary(&mut self, this: Value, head_size: u32, frequencies: Vec<f64>, factor: f64) -> Result<Value> {
        self.record(Op::Rotary(native::Rotary { head_size, frequencies, factor }), [&this])
    }

    fn convolution(&mut self, this: Value, weight: Value, bias: Option<Value>, groups: u32) -> Result<Value> {
        self.record(Op::Convolution { groups }, [&this, &weight].into_iter().chain(&bias))
    }

    fn causal_convolution(&mut self, this: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        self.record(Op::CausalConvolution, [&this, &weight].into_iter().chain(&bias))
    }

    fn selective_scan(
        &mut self,
        this: Value,
        delta: Value,
        a: Value,
        b: Value,
        c: Value,
        d: Option<Value>,
    ) -> Result<Value> {
        self.record(Op::SelectiveScan, [&this, &delta, &a, &b, &c].into_iter().chain(&d))
    }

    fn activation(&mut self, this: Value, activation: graph::Activation) -> Result<Value> {
        self.record(Op::Activation(activation.into()), [&this])
    }

    fn add(&mut self, this: Value, other: Value) -> Result<Value> {
        self.record(Op::Binary(Binary::Add), [&this, &other])
    }

    fn multiply(&mut self, this: Value, other: Value) -> Result<Value> {
        self.record(Op::Binary(Binary::Multiply), [&this, &other])
    }

    fn attention(
        &mut self,
        this: Value,
        keys: Value,
        values: Value,
        options: graph::AttentionOptions,
    ) -> Result<Value> {
        self.record(Op::Attention(options.into()), [&this, &keys, &values])
    }

    fn attention_biased(
        &mut self,
        this: Value,
        keys: Value,
        values: Value,
        bias: Value,
        max_distance: u32,
        options: graph::AttentionOptions,
    ) -> Result<Value> {
        let relative = Some(Relative::Bias { max_distance });
        let options = native::AttentionOptions { relative, ..options.into() };
        self.record(Op::Attention(options), [&this, &keys, &values, &bias])
    }

    fn attention_alibi(
        &mut self,
        this: Value,
        keys: Value,
        values: Value,
        slopes: Value,
        options: graph::AttentionOptions,
    ) -> Result<Value> {
        let options = native::AttentionOptions { relative: Some(Relative::Alibi), ..options.into() };
        self.record(Op::Attention(options), [&this, &keys, &values, &slopes])
    }

    fn attention_disentangled(
        &mut self,
        this: Value,
        keys: Value,
        values: Value,
        positions: graph::PositionTerms,
        options: graph::AttentionOptions,
    ) -> Result<Value> {
        let graph::PositionTerms { keys: position_keys, queries: position_queries, max_distance } = positions;
        let (keys_there, queries_there) = (position_keys.is_some(), position_queries.is_some());
        let relative = Some(Relative::Disentangled { keys: keys_there, queries: queries_there, max_distance });
        let options = native::AttentionOptions { relative, ..options.into() };
        let inputs = [&this, &keys, &values].into_iter().chain(&position_keys).chain(&position_queries);
        self.record(Op::Attention(options), inputs)
    }

    fn cross_attention(
        &mut self,
        this: Value,
        keys: Value,
        values: Value,
        options: graph::CrossAttentionOptions,
    ) -> Result<Value> {
        let graph::CrossAttentionOptions { heads, key_value_heads, scale } = options;
        let options = native::CrossAttentionOptions { heads, key_value_heads, scale };
        self.record(Op::CrossAttention(options), [&this, &keys, &values])
    }

    fn experts(
        &mut self,
        this: Value,
        logits: Value,
        experts: Vec<graph::Expert>,
        options: graph::ExpertsOptions,
    ) -> Result<Value> {
        let graph::ExpertsOptions { top_k, normalise, activation } = options;
        let options = native::ExpertsOptions { top_k, normalise, activation: activation.into() };
        let weights = experts.iter().flat_map(|expert| [&expert.gate, &expert.up, &expert.down]);
        self.record(Op::Experts(options), [&this, &logits].into_iter().chain(weights))
    }

    fn pool(&mut self, this: Value, pooling: graph::Pooling) -> Result<Value> {
        self.record(Op::Pool(pooling.into()), [&this])
    }

    fn select_rows(&mut self, this: Value) -> Result<Value> {
        self.record(Op::SelectRows, [&this])
    }

    /// A dropped handle leaves its node in the graph.
    fn drop(&mut self, _: Value) -> Result<()> {
        Ok(())
    }
}

impl weights::Host for Building {
    fn find(&mut self, name: String) -> Result<Option<weights::TensorInfo>> {
        check_name(&name)?;
        Ok(self.recording.find(&name).map(weights::TensorInfo::from))
    }

    fn tensor(&mut self, name: String) -> Result<Value> {
        check_name(&name)?;
        self.record(Op::Weight { name }, [])
    }
}

impl types::Host for Building {}

fn check_name(name: &str) -> Result<(), Cause> {
    if name.len() > NAME {
        return Err(Cause::Rule(format!("it passed a name of {} bytes; there can be {NAME}", name.len())));
    }
    if !text::is_printable(name) {
        return Err(Cause::Rule(format!("it passed the unprintable name `{}`", text::printable(name))));
    }
    Ok(())
}

impl From<native::TensorInfo> for weights::TensorInfo {
    fn from(info: native::TensorInfo) -> Self {
        let dtype = match info.dtype {
            native::DType::F32 => weights::Dtype::F32,
            native::DType::F16 => weights::Dtype::F16,
            native::DType::BF16 => weights::Dtype::Bf16,
        };
        Self { name: info.name, shape: info.shape, dtype }
    }
}

impl From<native::Dim> for graph::Dim {
    fn from(dim: native::Dim) -> Self {
        match dim {
            native::Dim::Tokens => Self::Tokens,
            native::Dim::Source => Self::Source,
            native::Dim::Sequences => Self::Sequences,
            native::Dim::Rows => Self::Rows,
            native::Dim::Fixed(size) => Self::Fixed(size),
        }
    }
}

impl From<graph::Activation> for native::Activation {
    fn from(activation: graph::Activation) -> Self {
        match activation {
            graph::Activation::Gelu => Self::Gelu,
            graph::Activation::GeluTanh => Self::GeluTanh,
            graph::Activation::Relu => Self::Relu,
            graph::Activation::Silu => Self::Silu,
            graph::Activation::Tanh => Self::Tanh,
            graph::Activation::Sigmoid => Self::Sigmoid,
            graph::Activation::Softplus => Self::Softplus,
            graph::Activation::Exp => Self::Exp,
        }
    }
}

impl From<graph::Pooling> for native::Pooling {
    fn from(pooling: graph::Pooling) -> Self {
        match pooling {
            graph::Pooling::First => Self::First,
            graph::Pooling::Last => Self::Last,
            graph::Pooling::Mean => Self::Mean,
            graph::Pooling::Max => Self::Max,
        }
    }
}

impl From<graph::AttentionOptions> for native::AttentionOptions {
    fn from(options: graph::AttentionOptions) -> Self {
        let graph::AttentionOptions { heads, key_value_heads, causal, scale, window, soft_cap } = options;
        Self { heads, key_value_heads, causal, scale, window, soft_cap, relative: None }
    }
}

impl From<types::Head> for native::Head {
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

impl From<native::Head> for types::Head {
    fn from(head: native::Head) -> Self {
        match head {
            native::Head::Base => Self::Base,
            native::Head::SequenceClassification => Self::SequenceClassification,
            native::Head::TokenClassification => Self::TokenClassification,
            native::Head::QuestionAnswering => Self::QuestionAnswering,
            native::Head::MaskedLm => Self::MaskedLm,
            native::Head::CausalLm => Self::CausalLm,
            native::Head::Seq2SeqLm => Self::Seq2seqLm,
        }
    }
}

impl From<types::Refusal> for Refusal {
    fn from(refusal: types::Refusal) -> Self {
        let printable = |text: String| text::printable(&text);
        match refusal {
            types::Refusal::NotAnObject(reason) => Self::NotAnObject { reason: printable(reason) },
            types::Refusal::Missing(field) => Self::Missing { field: printable(field) },
            types::Refusal::Wrong(types::WrongField { field, expected, found }) => {
                Self::Wrong { field: printable(field), expected: printable(expected), found: printable(found) }
            }
            types::Refusal::Unsupported(types::UnsupportedValue { field, value, supported }) => {
                Self::Unsupported { field: printable(field), value: printable(value), supported: printable(supported) }
            }
        }
    }
}
