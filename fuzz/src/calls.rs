//! Bytes as calls of a graph builder: mostly with operands that fit, so that graphs become deep, and now and then with any.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use runtime_graph::{
    Activation, AttentionOptions, Binary, CrossAttentionOptions, Dim, Element, ExpertsOptions, Graph, GraphError,
    Input, Op, Pooling, Recording, Relative, Rotary, Shape, ValueId,
};

use crate::weights::{TENSORS, catalog};

/// Calls that are decoded, at most.
const CALLS: usize = 96;

/// A recording, and what is known of its values.
struct Calls<'a, 'u> {
    bytes: &'a mut Unstructured<'u>,
    recording: Recording,
    values: Vec<(ValueId, Shape)>,
}

/// The graph that `bytes` describe, or the misuse that is left when it ends. Each misuse on the way is refused.
///
/// # Errors
/// Where the bytes are too few for a single call.
pub fn graph(bytes: &mut Unstructured<'_>) -> Result<std::result::Result<Graph, GraphError>> {
    let mut calls = Calls { bytes, recording: Recording::new("fuzz", catalog()), values: Vec::new() };
    let ids = calls.record(Op::Input(Input::TokenIds), &[]);
    let words = calls.record(Op::Weight { name: "words".to_owned() }, &[]);
    if let (Some(ids), Some(words)) = (ids, words) {
        calls.record(Op::Rows, &[words, ids]);
    }
    for _ in 0..CALLS {
        if calls.bytes.is_empty() {
            break;
        }
        calls.call()?;
    }
    let last: Vec<ValueId> = calls.values.iter().rev().take(3).map(|(value, _)| *value).collect();
    for (name, value) in ["first", "second", "third"].into_iter().zip(last) {
        let _ = calls.recording.output(name, value, None);
    }
    Ok(calls.recording.finish())
}

fn has_rows(dim: Dim) -> bool {
    matches!(dim, Dim::Tokens | Dim::Source)
}

impl Calls<'_, '_> {
    fn record(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        let recorded = self.recording.record(op, inputs, None);
        if let Err(error) = &recorded {
            assert!(!error.to_string().is_empty());
        }
        let value = recorded.ok()?;
        let shape = self.recording.shape(value).expect("it was recorded").clone();
        self.values.push((value, shape));
        Some(value)
    }

    /// A number that is mostly small.
    fn number(&mut self) -> Result<u32> {
        match self.bytes.arbitrary::<u8>()? {
            small @ 0..=239 => Ok(u32::from(small % 17)),
            240..=247 => Ok(u32::MAX - u32::from(self.bytes.arbitrary::<u8>()? % 4)),
            _ => self.bytes.arbitrary(),
        }
    }

    /// A number that is mostly harmless.
    fn real(&mut self) -> Result<f64> {
        const REALS: [f64; 16] = [
            1.0,
            0.5,
            -1.0,
            2.0,
            0.1,
            1e-5,
            1e-12,
            0.0,
            -0.0,
            30.0,
            f64::NAN,
            f64::INFINITY,
            1e300,
            f64::MIN,
            1e39,
            1e-320,
        ];
        match self.bytes.arbitrary::<u8>()? {
            known @ 0..=239 => Ok(REALS[usize::from(known % 16)]),
            _ => self.bytes.arbitrary(),
        }
    }

    fn maybe(&mut self, of: impl FnOnce(&mut Self) -> Result<f64>) -> Result<Option<f64>> {
        if self.bytes.arbitrary::<u8>()? % 3 == 0 { of(self).map(Some) } else { Ok(None) }
    }

    /// A value whose shape fits, the youngest most easily; now and then any, or a forged one.
    fn value(&mut self, fits: impl Fn(&Shape) -> bool) -> Result<ValueId> {
        let drawn = self.bytes.arbitrary::<u8>()?;
        if drawn == 255 {
            return Ok(ValueId::from_number(self.bytes.arbitrary()?));
        }
        let fitting: Vec<ValueId> =
            self.values.iter().rev().filter(|(_, shape)| fits(shape)).map(|(value, _)| *value).collect();
        match fitting.get(usize::from(drawn) % fitting.len().max(1)).filter(|_| drawn < 245) {
            Some(value) => Ok(*value),
            None => Ok(self
                .values
                .get(usize::from(drawn) % self.values.len().max(1))
                .map_or(ValueId::from_number(0), |it| it.0)),
        }
    }

    /// A weight whose sizes fit; now and then any.
    fn weight(&mut self, fits: impl Fn(&[u32]) -> bool) -> Result<ValueId> {
        let drawn = usize::from(self.bytes.arbitrary::<u8>()?);
        let fitting: Vec<&str> = TENSORS.iter().filter(|(_, shape, _)| fits(shape)).map(|(name, ..)| *name).collect();
        let name = match fitting.get(drawn % fitting.len().max(1)).filter(|_| drawn < 245) {
            Some(name) => name,
            None => TENSORS[drawn % TENSORS.len()].0,
        };
        Ok(self.record(Op::Weight { name: name.to_owned() }, &[]).unwrap_or(ValueId::from_number(0)))
    }

    fn shape(&self, value: ValueId) -> Shape {
        self.recording.shape(value).cloned().unwrap_or_else(|| Shape::new([]))
    }

    fn width(&self, value: ValueId) -> u32 {
        self.shape(value).width().unwrap_or(0)
    }

    /// A matrix with a row for each token.
    fn tokens(&mut self) -> Result<ValueId> {
        self.value(|shape| shape.as_matrix().is_some_and(|(rows, _)| has_rows(rows)))
    }

    fn flag(&mut self) -> Result<bool> {
        self.bytes.arbitrary()
    }

    fn bias(&mut self, inputs: &mut Vec<ValueId>, size: u32) -> Result<()> {
        if self.flag()? {
            inputs.push(self.weight(|shape| shape == [size])?);
        }
        Ok(())
    }

    fn activation(&mut self) -> Result<Activation> {
        Ok(Activation::ALL[usize::from(self.bytes.arbitrary::<u8>()?) % Activation::ALL.len()])
    }

    /// A number of heads that mostly divides a width.
    fn heads(&mut self) -> Result<u32> {
        Ok(match self.bytes.arbitrary::<u8>()? {
            small @ 0..=239 => 1 << (small % 4),
            _ => self.number()?,
        })
    }

    fn call(&mut self) -> Result<()> {
        match self.bytes.int_in_range(0..=29u8)? {
            0..=4 => self.source()?,
            5..=13 => self.rowwise()?,
            14..=22 => self.sequential()?,
            23 => {
                let layer = self.number()?;
                self.recording.set_layer(Some(layer));
            }
            24 => {
                let tokens = self.number()?;
                self.recording.set_max_sequence(tokens);
            }
            25 => {
                let value = self.value(|shape| shape.as_matrix().is_some())?;
                let name = if self.flag()? { "logits" } else { "hidden_states" };
                let _ = self.recording.output(name, value, None);
            }
            26 => {
                let x = self.value(|shape| shape.as_matrix().is_some())?;
                let of = usize::from(self.bytes.arbitrary::<u8>()?) % Pooling::ALL.len();
                self.record(Op::Pool(Pooling::ALL[of]), &[x]);
            }
            27 => {
                let x = self.tokens()?;
                self.record(Op::SelectRows, &[x]);
            }
            28 => {
                let number = self.number()?;
                self.record(Op::Received { number }, &[]);
            }
            _ => {
                // Any operands in any number.
                let inputs: Vec<ValueId> =
                    (0..self.bytes.int_in_range(0..=6)?).map(|_| self.value(|_| true)).collect::<Result<_>>()?;
                let op = if self.flag()? { Op::Linear } else { Op::SelectiveScan };
                self.record(op, &inputs);
            }
        }
        Ok(())
    }

    /// What has no operands, and the rows of tables.
    fn source(&mut self) -> Result<()> {
        let input = match self.bytes.int_in_range(0..=8u8)? {
            0 => Input::TokenIds,
            1 => Input::TokenTypes,
            2 => Input::SourceIds,
            3 => {
                let padding = if self.flag()? { Some(self.number()?) } else { None };
                Input::Positions { first: self.number()?, padding }
            }
            4 => {
                let padding = if self.flag()? { Some(self.number()?) } else { None };
                Input::SourcePositions { first: self.number()?, padding }
            }
            5 => {
                let (rows, count) = (self.number()?, self.bytes.int_in_range(0..=5)?);
                let frequencies = (0..count).map(|_| self.real()).collect::<Result<_>>()?;
                self.record(Op::Sinusoids { rows, frequencies }, &[]);
                return Ok(());
            }
            6 => return self.weight(|_| true).map(|_| ()),
            8 => {
                let count = self.bytes.int_in_range(0..=5)?;
                let numbers = (0..count).map(|_| self.real()).collect::<Result<_>>()?;
                self.record(Op::Constant { numbers }, &[]);
                return Ok(());
            }
            _ => {
                let table = self.weight(|shape| shape.len() == 2)?;
                let table = if self.flag()? { table } else { self.value(|shape| shape.as_matrix().is_some())? };
                let ids = self.value(|shape| shape.rank() == 1 && !matches!(shape.dims()[0], Dim::Fixed(_)))?;
                self.record(Op::Rows, &[table, ids]);
                return Ok(());
            }
        };
        self.record(Op::Input(input), &[]);
        Ok(())
    }

    /// What treats each row for itself.
    fn rowwise(&mut self) -> Result<()> {
        let x = self.value(|shape| shape.as_matrix().is_some())?;
        let width = self.width(x);
        match self.bytes.int_in_range(0..=11u8)? {
            0..=2 => {
                let mut inputs = vec![x, self.weight(|shape| shape.len() == 2 && shape[1] == width)?];
                if self.flag()? && self.flag()? {
                    inputs[1] = self.value(|shape| {
                        shape.as_matrix().is_some_and(|(rows, found)| matches!(rows, Dim::Fixed(_)) && found == width)
                    })?;
                }
                let outputs = self
                    .shape(inputs[1])
                    .dims()
                    .first()
                    .map_or(0, |dim| if let Dim::Fixed(size) = dim { *size } else { 0 });
                self.bias(&mut inputs, outputs)?;
                self.record(Op::Linear, &inputs);
            }
            3 => {
                let mut inputs = vec![x, self.weight(|shape| shape.last() == Some(&width))?];
                self.bias(&mut inputs, width)?;
                let epsilon = self.real()?;
                self.record(Op::LayerNorm { epsilon }, &inputs);
            }
            4 => {
                let weight = self.weight(|shape| shape.len() == 1 && shape[0] > 0 && width % shape[0] == 0)?;
                let (epsilon, offset) = (self.real()?, self.real()?);
                self.record(Op::RmsNorm { epsilon, offset }, &[x, weight]);
            }
            5 => {
                let activation = self.activation()?;
                self.record(Op::Activation(activation), &[x]);
            }
            6 | 7 => {
                let shape = self.shape(x);
                let column = |other: &Shape| {
                    other.as_matrix().is_some_and(|(rows, width)| width == 1 && rows == shape.dims()[0])
                };
                let other = self.value(|other| *other == shape || (shape.rank() == 2 && column(other)))?;
                let binary = if self.flag()? { Binary::Add } else { Binary::Multiply };
                self.record(Op::Binary(binary), &[x, other]);
            }
            8 => {
                let factor = self.real()?;
                self.record(Op::Scale { factor }, &[x]);
            }
            9 => {
                let rows = self.shape(x).dims().first().copied();
                let other = self.value(|other| other.rank() == 2 && other.dims().first().copied() == rows)?;
                let parts = self.number()?;
                self.record(Op::Join { parts }, &[x, other]);
            }
            10 => {
                let (start, count) = (self.number()?, self.number()?);
                self.record(Op::Columns { start, width: count }, &[x]);
            }
            _ => {
                let x = self.value(|shape| shape.dims().iter().all(|dim| matches!(dim, Dim::Fixed(_))))?;
                self.record(Op::Transpose, &[x]);
            }
        }
        Ok(())
    }

    /// What looks at other tokens, or at a token's place.
    fn sequential(&mut self) -> Result<()> {
        let x = self.tokens()?;
        let shape = self.shape(x);
        let (width, rows) = (self.width(x), shape.dims().first().copied());
        let alike = |other: &Shape| *other == shape;
        match self.bytes.int_in_range(0..=9u8)? {
            0 => {
                let (head_size, count) = (self.heads()?.saturating_mul(2), self.bytes.int_in_range(0..=4)?);
                let frequencies = (0..count).map(|_| self.real()).collect::<Result<_>>()?;
                let factor = self.real()?;
                self.record(Op::Rotary(Rotary { head_size, frequencies, factor }), &[x]);
            }
            1 => {
                let mut inputs = vec![x, self.weight(|shape| shape.len() == 3)?];
                self.bias(&mut inputs, width)?;
                let groups = self.number()?;
                self.record(Op::Convolution { groups }, &inputs);
            }
            2 => {
                let mut inputs = vec![x, self.weight(|shape| shape.len() >= 2 && shape[0] == width)?];
                self.bias(&mut inputs, width)?;
                self.record(Op::CausalConvolution, &inputs);
            }
            3 | 4 => {
                let delta = self.value(alike)?;
                let a = self.weight(|shape| shape.len() == 2 && shape[0] == width)?;
                let a = if self.flag()? {
                    a
                } else {
                    self.value(|shape| shape.rank() == 2 && shape.dims()[0] == Dim::Fixed(width))?
                };
                let states = self.width(a);
                let matches = |shape: &Shape| shape.as_matrix() == Some((Dim::Tokens, states));
                let mut inputs = vec![x, delta, a, self.value(matches)?, self.value(matches)?];
                self.bias(&mut inputs, width)?;
                self.record(Op::SelectiveScan, &inputs);
            }
            5..=7 => self.attention(x)?,
            8 => {
                let heads = self.heads()?;
                let key_value_heads = if self.flag()? { heads } else { self.heads()? };
                let sourced = |shape: &Shape| {
                    shape.as_matrix().is_some_and(|(rows, found)| rows == Dim::Source && found <= width)
                };
                let inputs = [x, self.value(sourced)?, self.value(sourced)?];
                let scale = self.maybe(Self::real)?;
                self.record(Op::CrossAttention(CrossAttentionOptions { heads, key_value_heads, scale }), &inputs);
            }
            _ => {
                let count = self.bytes.int_in_range(1..=4u32)?;
                let logits = self
                    .value(|shape| shape.as_matrix().is_some_and(|(of, found)| Some(of) == rows && found == count))?;
                let mut inputs = vec![x, logits];
                for _ in 0..count {
                    let inner = |shape: &[u32]| shape.len() == 2 && shape[1] == width;
                    let (gate, up) = (self.weight(inner)?, self.weight(inner)?);
                    inputs.extend([gate, up, self.weight(|shape| shape.len() == 2 && shape[0] == width)?]);
                }
                let options =
                    ExpertsOptions { top_k: self.number()?, normalise: self.flag()?, activation: self.activation()? };
                self.record(Op::Experts(options), &inputs);
            }
        }
        Ok(())
    }

    fn attention(&mut self, q: ValueId) -> Result<()> {
        let (shape, heads) = (self.shape(q), self.heads()?);
        let key_value_heads = if self.flag()? { heads } else { self.heads()? };
        let narrower = |other: &Shape| match (other.as_matrix(), shape.as_matrix()) {
            (Some((rows, found)), Some((own, width))) => rows == own && found <= width,
            _ => false,
        };
        let mut inputs = vec![q, self.value(narrower)?, self.value(narrower)?];
        let width = self.width(q);
        let relative = match self.bytes.int_in_range(0..=5u8)? {
            0 => {
                inputs.push(self.weight(|shape| shape.len() == 2 && shape[1] == heads)?);
                Some(Relative::Bias { max_distance: self.number()? })
            }
            1 => {
                let (keys, queries) = (self.flag()?, self.flag()?);
                for _ in 0..u8::from(keys) + u8::from(queries) {
                    inputs.push(self.weight(|shape| shape.len() == 2 && shape[1] == width)?);
                }
                let max_distance = if self.flag()? { Some(self.number()?) } else { None };
                Some(Relative::Disentangled { keys, queries, max_distance })
            }
            5 => {
                let fits = |shape: &[u32]| shape == [heads] || shape == [1, heads];
                let slopes = if self.flag()? {
                    self.weight(fits)?
                } else {
                    self.value(|shape| shape.as_matrix() == Some((Dim::Fixed(1), heads)))?
                };
                inputs.push(slopes);
                Some(Relative::Alibi)
            }
            _ => None,
        };
        let options = AttentionOptions {
            heads,
            key_value_heads,
            causal: self.flag()?,
            scale: self.maybe(Self::real)?,
            window: if self.flag()? { None } else { Some(self.number()?) },
            soft_cap: self.maybe(Self::real)?,
            relative,
        };
        self.record(Op::Attention(options), &inputs);
        Ok(())
    }
}

/// Whether a graph reads sources.
pub fn reads_sources(graph: &Graph) -> bool {
    graph.nodes.iter().any(|node| node.element == Element::Index && node.shape.dims() == [Dim::Source])
}
