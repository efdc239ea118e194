//! What depends on no batch: weights, and what is computed from them alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use runtime_graph::{Binary, DType, Dim, Element, Graph, Node, Op, ValueId};
use runtime_kernels as kernels;
use runtime_kernels::{BlockType, Finish, Norm, Packed, Product, Quantized, Table, Team};

use super::pack::Part;
use super::step::activation;
use crate::{Error, Precision, StoredTensor, StoredType, Weights};

/// The numbers of a constant, as they are at hand.
pub(super) enum Matrix<'a> {
    Computed(&'a [f32]),
    Stored(StoredTensor<'a>),
}

impl Matrix<'_> {
    /// Some of its rows, which are not in blocks.
    pub(super) fn rows(&self, rows: Range<usize>, inputs: usize) -> Part<'_> {
        match self {
            Self::Computed(numbers) => Part::Computed(&numbers[rows.start * inputs..rows.end * inputs]),
            Self::Stored(stored) => {
                let StoredType::Plain(dtype) = stored.dtype else { unreachable!("the caller has asked for blocks") };
                let row = inputs * dtype.size();
                Part::Stored(dtype, &stored.bytes[rows.start * row..rows.end * row])
            }
        }
    }
}

/// The constants of a graph. Weights are read when they are asked for, so that none is held in two forms.
pub(super) struct Values<'g> {
    graph: &'g Graph,
    weights: &'g dyn Weights,
    /// What was computed from weights alone, by node.
    folded: HashMap<usize, Vec<f32>>,
    /// Vectors that the plan has already, by name.
    placed: HashMap<String, usize>,
}

/// Whether a node's result is a constant.
pub(crate) fn is_fixed(node: &Node) -> bool {
    node.element == Element::Real && node.shape.dims().iter().all(|dim| matches!(dim, Dim::Fixed(_)))
}

impl<'g> Values<'g> {
    /// Computes what can be computed now.
    pub(super) fn fold(graph: &'g Graph, weights: &'g dyn Weights) -> Result<Self, Error> {
        let mut values = Self { graph, weights, folded: HashMap::new(), placed: HashMap::new() };
        for (index, node) in graph.nodes.iter().enumerate() {
            if is_fixed(node) && !matches!(node.op, Op::Weight { .. }) {
                let result = values.compute(node)?;
                values.folded.insert(index, result);
            }
        }
        Ok(values)
    }

    fn read(&self, node: usize) -> Result<StoredTensor<'g>, Error> {
        let Op::Weight { name } = &self.graph.nodes[node].op else { unreachable!("the caller has looked") };
        let stored = self.weights.read(name).map_err(|source| Error::Weight { name: name.clone(), source })?;
        stored.check(name, &self.graph.nodes[node].shape)?;
        Ok(stored)
    }

    /// The type of the blocks in which a constant is stored, if it is.
    pub(super) fn blocks(&self, value: ValueId) -> Result<Option<BlockType>, Error> {
        let Op::Weight { name } = &self.graph.node(value).op else { return Ok(None) };
        match self.weights.stored_type(name).map_err(|source| Error::Weight { name: name.clone(), source })? {
            StoredType::Blocks(kind) => Ok(Some(kind)),
            StoredType::Plain(_) => Ok(None),
        }
    }

    /// A constant as it is stored, whatever that is.
    pub(super) fn stored(&self, value: ValueId) -> Result<StoredTensor<'g>, Error> {
        self.read(value.index())
    }

    /// A constant that is a matrix, and not in blocks.
    pub(super) fn matrix(&self, value: ValueId) -> Result<Matrix<'_>, Error> {
        match self.folded.get(&value.index()) {
            Some(numbers) => Ok(Matrix::Computed(numbers)),
            None => Ok(Matrix::Stored(self.read(value.index())?)),
        }
    }

    /// What tells a constant from others: nodes that name the same weight have the same.
    pub(super) fn name(&self, value: ValueId) -> String {
        match &self.graph.node(value).op {
            Op::Weight { name } => name.clone(),
            _ => format!("%{}", value.index()),
        }
    }

    /// The numbers of a constant.
    pub(super) fn numbers(&self, value: ValueId) -> Result<Cow<'_, [f32]>, Error> {
        match self.folded.get(&value.index()) {
            Some(numbers) => Ok(Cow::Borrowed(numbers)),
            None => Ok(Cow::Owned(self.read(value.index())?.to_f32())),
        }
    }

    /// The number of a constant among the plan's vectors.
    pub(super) fn vector(&mut self, value: ValueId, vectors: &mut Vec<Vec<f32>>) -> Result<usize, Error> {
        let name = self.name(value);
        if let Some(known) = self.placed.get(&name) {
            return Ok(*known);
        }
        vectors.push(self.numbers(value)?.into_owned());
        self.placed.insert(name, vectors.len() - 1);
        Ok(vectors.len() - 1)
    }

    /// The same of a matrix whose rows have `columns` numbers, column by column.
    pub(super) fn vector_by_columns(
        &mut self,
        value: ValueId,
        columns: usize,
        vectors: &mut Vec<Vec<f32>>,
    ) -> Result<usize, Error> {
        let name = format!("{} by columns", self.name(value));
        if let Some(known) = self.placed.get(&name) {
            return Ok(*known);
        }
        let numbers = self.numbers(value)?;
        let mut to = vec![0.0; numbers.len()];
        transpose(&numbers, columns, &mut to);
        drop(numbers);
        vectors.push(to);
        self.placed.insert(name, vectors.len() - 1);
        Ok(vectors.len() - 1)
    }

    /// The same with a number added to each.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision")]
    pub(super) fn vector_plus(
        &mut self,
        value: ValueId,
        offset: f64,
        vectors: &mut Vec<Vec<f32>>,
    ) -> Result<usize, Error> {
        if offset == 0.0 {
            return self.vector(value, vectors);
        }
        let name = format!("{} + {offset}", self.name(value));
        if let Some(known) = self.placed.get(&name) {
            return Ok(*known);
        }
        vectors.push(self.numbers(value)?.iter().map(|x| x + offset as f32).collect());
        self.placed.insert(name, vectors.len() - 1);
        Ok(vectors.len() - 1)
    }

    /// A table, which is not in blocks, in the precision in which it is stored.
    pub(super) fn table(&self, value: ValueId) -> Result<Table, Error> {
        if let Some(numbers) = self.folded.get(&value.index()) {
            return Ok(Table::F32(numbers.clone()));
        }
        let stored = self.read(value.index())?;
        let pairs = stored.bytes.as_chunks().0.iter();
        Ok(match stored.dtype {
            StoredType::Plain(DType::F32) | StoredType::Blocks(_) => Table::F32(stored.to_f32()),
            StoredType::Plain(DType::F16) => Table::F16(pairs.map(|bytes| half::f16::from_le_bytes(*bytes)).collect()),
            StoredType::Plain(DType::BF16) => {
                Table::Bf16(pairs.map(|bytes| half::bf16::from_le_bytes(*bytes)).collect())
            }
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision")]
    fn compute(&self, node: &Node) -> Result<Vec<f32>, Error> {
        // Weights that are read are as large as they say; only then is there room for what is as large as they are.
        let operands: Vec<Cow<'_, [f32]>> =
            node.inputs.iter().map(|input| self.numbers(*input)).collect::<Result<_, _>>()?;
        let count = node.shape.dims().iter().map(|dim| if let Dim::Fixed(size) = dim { *size as usize } else { 0 });
        let mut to = vec![0.0; count.product()];
        let width = |operand: usize| self.graph.node(node.inputs[operand]).shape.width().unwrap_or(1) as usize;
        let team = &Team::alone();
        match &node.op {
            Op::Linear => {
                let weight = Packed::new(Precision::F32, &operands[1], width(1));
                let finish = Finish { bias: operands.get(2).map(|bias| &bias[..]), ..Finish::default() };
                Product { x: &operands[0], weight: &weight, finish }.run(team, &mut Quantized::new(), &mut to);
            }
            Op::LayerNorm { epsilon } => {
                let bias = operands.get(2).map(|bias| &bias[..]);
                let norm = Norm { centred: true, weight: &operands[1], bias, epsilon: *epsilon };
                norm.run(team, &operands[0], &mut to);
            }
            Op::RmsNorm { epsilon, offset } => {
                let weight: Vec<f32> = operands[1].iter().map(|x| x + *offset as f32).collect();
                let norm = Norm { centred: false, weight: &weight, bias: None, epsilon: *epsilon };
                norm.run(team, &operands[0], &mut to);
            }
            Op::Activation(function) => {
                kernels::combine(team, &operands[0], Some(activation(*function)), None, &mut to);
            }
            Op::Binary(_) if operands[0].len() != operands[1].len() => {
                kernels::scale_rows(team, &operands[0], &operands[1], &mut to);
            }
            Op::Binary(binary) => {
                let binary = match binary {
                    Binary::Add => kernels::Binary::Add,
                    Binary::Multiply => kernels::Binary::Multiply,
                };
                kernels::combine(team, &operands[0], None, Some((binary, &operands[1])), &mut to);
            }
            Op::Scale { factor } => kernels::scale(team, &operands[0], *factor as f32, &mut to),
            Op::Columns { start, width: columns } => {
                let x = kernels::Columns { x: &operands[0], stride: width(0), first: *start as usize };
                kernels::copy_columns(team, x, *columns as usize, &mut to);
            }
            Op::Join { parts } => {
                let [a, b] = [0, 1].map(|x| kernels::Columns { x: &operands[x], stride: width(x), first: 0 });
                kernels::join(team, a, b, [width(0), width(1)], *parts as usize, &mut to);
            }
            Op::Transpose => transpose(&operands[0], width(0), &mut to),
            Op::Constant { numbers } => to.iter_mut().zip(numbers).for_each(|(to, number)| *to = *number as f32),
            Op::Sinusoids { rows, frequencies } => {
                for (row, to) in (0..*rows).zip(to.chunks_exact_mut(2 * frequencies.len())) {
                    let (sines, cosines) = to.split_at_mut(frequencies.len());
                    for ((sine, cosine), frequency) in sines.iter_mut().zip(cosines).zip(frequencies) {
                        let (s, c) = (f64::from(row) * frequency).sin_cos();
                        (*sine, *cosine) = (s as f32, c as f32);
                    }
                }
            }
            // All others have results with a row for each token, sequence or row asked for.
            other => unreachable!("`{}` gives no constant", other.name()),
        }
        Ok(to)
    }
}

/// Writes a matrix whose rows have `columns` numbers column by column.
fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
    let rows = from.len() / columns.max(1);
    for (column, to) in to.chunks_exact_mut(rows.max(1)).enumerate() {
        for (to, x) in to.iter_mut().zip(from[column..].iter().step_by(columns)) {
            *to = *x;
        }
    }
}
