//! Products, and what is fused with them.
//!
//! - What follows a product and reads nothing else of its kind (activation, a factor, a sum, a norm) is part of its step.
//! - Products of one value whose results only attention reads (queries, keys, values) are one product, and attention
//!   reads columns of it.
//! - A product of which only columns are read, and not as they are, is cut up, so that each part has its own follow-up:
//!   so a gated feed-forward layer becomes two products, the second of which multiplies with the first.

use std::borrow::Cow;
use std::ops::Range;

use runtime_graph::{Activation, Binary, Dim, Op, ValueId};
use runtime_kernels::BlockType;

use super::layout::{Held, Home};
use super::pack::{Pack, Part};
use super::step::{Follow, Step};
use super::{Lowering, User, matrix};
use crate::{Error, Precision};

/// The fewest inputs and outputs of a product whose weight is held in less than single precision.
const WORTH_CONVERTING: usize = 64;

/// The fewest inputs and outputs of a group of a convolution that is computed as a product.
const WORTH_A_PRODUCT: usize = 16;

/// A product to be emitted.
pub(super) struct Linear {
    /// The node at which it is.
    pub(super) at: usize,
    x: ValueId,
    /// One, or several that become one product.
    pieces: Vec<Piece>,
    activation: Option<Activation>,
    factor: Option<ValueId>,
    add: Option<ValueId>,
    /// The node of the norm.
    norm: Option<usize>,
}

/// Some rows of a weight.
#[derive(Clone)]
struct Piece {
    weight: ValueId,
    bias: Option<ValueId>,
    rows: Range<usize>,
    /// The node whose value it gives.
    result: usize,
}

impl<P: Pack> Lowering<'_, P> {
    /// Finds all products and what is fused with them.
    pub(super) fn plan_linears(&mut self) -> Result<(), Error> {
        for index in 0..self.graph.nodes.len() {
            if self.graph.nodes[index].op != Op::Linear || self.is_constant(index) {
                continue;
            }
            for piece in self.pieces(index) {
                let linear = self.with_what_follows(self.graph.nodes[index].inputs[0], piece);
                self.linears.push(linear);
            }
            self.fused[index] = true;
        }
        self.join()
    }

    /// The product of a node, or those of the columns that are read of it.
    fn pieces(&mut self, index: usize) -> Vec<Piece> {
        let node = &self.graph.nodes[index];
        let (weight, bias) = (node.inputs[1], node.inputs.get(2).copied());
        let (_, outputs) = matrix(node);
        let columns = self.users[index].iter().map(|user| match user {
            User::Node(user) => match self.graph.nodes[*user].op {
                Op::Columns { start, width } => Some((*user, start as usize..(start + width) as usize)),
                _ => None,
            },
            User::Output => None,
        });
        if let Some(columns) = columns.collect::<Option<Vec<_>>>() {
            let total: usize = columns.iter().map(|(_, rows)| rows.len()).sum();
            if !columns.is_empty() && total <= outputs && !columns.iter().all(|(node, _)| self.reads_columns(*node)) {
                columns.iter().for_each(|(node, _)| self.fused[*node] = true);
                let piece = |(result, rows)| Piece { weight, bias, rows, result };
                return columns.into_iter().map(piece).collect();
            }
        }
        vec![Piece { weight, bias, rows: 0..outputs, result: index }]
    }

    /// Whether all readers of a value take columns of a matrix.
    fn reads_columns(&self, value: usize) -> bool {
        self.users[value].iter().all(|user| match user {
            User::Output => true,
            User::Node(user) => matches!(self.graph.nodes[*user].op, Op::Attention(_) | Op::Rotary(_)),
        })
    }

    fn with_what_follows(&mut self, x: ValueId, piece: Piece) -> Linear {
        let mut last = piece.result;
        let mut linear =
            Linear { at: last, x, pieces: vec![piece], activation: None, factor: None, add: None, norm: None };
        while let Some(user) = self.only_user(last).filter(|user| !self.fused[*user]) {
            let node = &self.graph.nodes[user];
            let other = node.inputs.iter().copied().find(|input| input.index() != last);
            let nothing_added = linear.add.is_none();
            let same_shape = |other: ValueId| self.graph.node(other).shape == self.graph.nodes[last].shape;
            match (&node.op, other) {
                (Op::Activation(activation), _)
                    if linear.activation.is_none() && linear.factor.is_none() && nothing_added =>
                {
                    linear.activation = Some(*activation);
                }
                (Op::Binary(Binary::Multiply), Some(other))
                    if linear.factor.is_none() && nothing_added && same_shape(other) =>
                {
                    linear.factor = Some(other);
                }
                (Op::Binary(Binary::Add), Some(other)) if nothing_added => linear.add = Some(other),
                _ if self.is_norm_of_rows(user) => {
                    linear.norm = Some(user);
                    self.fused[user] = true;
                    last = user;
                    break;
                }
                _ => break,
            }
            self.fused[user] = true;
            last = user;
        }
        linear.at = last;
        linear
    }

    /// Joins products of one value that nothing is fused with, where their readers take columns and their weights are in
    /// blocks of one type or in none.
    fn join(&mut self) -> Result<(), Error> {
        let mut joined: Vec<Linear> = Vec::new();
        for linear in std::mem::take(&mut self.linears) {
            let alone = |linear: &Linear| linear.at == linear.pieces[linear.pieces.len() - 1].result;
            let fits = |linear: &Linear| {
                let whole = linear.pieces.iter().all(|piece| self.reads_columns(piece.result));
                whole && (linear.pieces.len() > 1 || alone(linear))
            };
            let blocks = self.values.blocks(linear.pieces[0].weight)?;
            let mut known = None;
            for other in joined.iter_mut().filter(|other| other.x == linear.x && fits(other) && fits(&linear)) {
                if self.values.blocks(other.pieces[0].weight)? == blocks {
                    known = Some(other);
                    break;
                }
            }
            match known {
                Some(known) => known.pieces.extend(linear.pieces),
                None => joined.push(linear),
            }
        }
        self.linears = joined;
        Ok(())
    }

    /// Emits a product.
    pub(super) fn product(&mut self, number: usize) -> Result<(), Error> {
        let Linear { at, x, pieces, activation, factor, add, norm } = {
            let linear = &mut self.linears[number];
            let pieces = std::mem::take(&mut linear.pieces);
            Linear { pieces, ..*linear }
        };
        let x = self.whole(x);
        let outputs = pieces.iter().map(|piece| piece.rows.len()).sum();
        // What chooses experts is worth its precision: a logit that is a little off may choose another expert.
        let routes = pieces.iter().any(|piece| self.routes(piece.result));
        let precision = if routes || x.rows == Dim::Sequences { Precision::F32 } else { self.precision };
        let weight = self.packed(&pieces, x.columns, precision)?;
        let norm = norm.map_or(Ok(None), |norm| self.normalise(norm))?;
        let follow = Follow {
            bias: self.bias(&pieces, outputs)?,
            activation,
            factor: factor.map(|factor| self.whole(factor)),
            add: add.map(|add| self.whole(add)),
            norm,
        };
        let to = self.buffer(x.rows, outputs);
        self.products.push(pieces.iter().map(|piece| self.held(piece, x.columns)).collect());
        let number = Some(self.products.len() - 1);
        self.steps.push(Step::Product { x, weight, number, follow, to });
        if pieces.len() == 1 {
            self.homes[at] = Some(to);
            return Ok(());
        }
        let mut first = 0;
        for piece in &pieces {
            self.homes[piece.result] = Some(Home { first, columns: piece.rows.len(), ..to });
            first += piece.rows.len();
        }
        Ok(())
    }

    /// What a product has of a weight.
    fn held(&self, piece: &Piece, inputs: usize) -> Held {
        let mut node = self.graph.node(piece.weight);
        while node.op == Op::Transpose {
            node = self.graph.node(node.inputs[0]);
        }
        let weight = if let Op::Weight { name } = &node.op { Some(name.clone()) } else { None };
        let (rows, _) = matrix(self.graph.node(piece.weight));
        let outputs = if let Dim::Fixed(rows) = rows { rows as usize } else { 0 };
        Held { weight, outputs, inputs, rows: piece.rows.clone() }
    }

    /// Whether a value is read as the logits of experts.
    fn routes(&self, value: usize) -> bool {
        self.users[value].iter().any(|user| match user {
            User::Node(user) => {
                let node = &self.graph.nodes[*user];
                matches!(node.op, Op::Experts(_)) && node.inputs[1].index() == value
            }
            User::Output => false,
        })
    }

    /// The packed weight of a whole matrix `[outputs, inputs]`.
    pub(super) fn packed_matrix(&mut self, weight: ValueId, outputs: usize, inputs: usize) -> Result<usize, Error> {
        let piece = Piece { weight, bias: None, rows: 0..outputs, result: weight.index() };
        self.packed(&[piece], inputs, self.precision)
    }

    /// The packed weight of whole matrices `[outputs, inputs]` below each other.
    pub(super) fn packed_stack(
        &mut self,
        weights: impl Iterator<Item = ValueId>,
        outputs: usize,
        inputs: usize,
    ) -> Result<usize, Error> {
        let piece = |weight: ValueId| Piece { weight, bias: None, rows: 0..outputs, result: weight.index() };
        let pieces: Vec<Piece> = weights.map(piece).collect();
        for piece in &pieces {
            if self.values.blocks(piece.weight)? != self.values.blocks(pieces[0].weight)? {
                return Err(Error::MixedExperts);
            }
        }
        self.packed(&pieces, inputs, self.precision)
    }

    /// The packed weight of some pieces, shared by all products with the same.
    fn packed(&mut self, pieces: &[Piece], inputs: usize, precision: Precision) -> Result<usize, Error> {
        let outputs: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
        // What is stored in blocks stays in them; those of one product are of one type.
        if let Some(kind) = self.values.blocks(pieces[0].weight)? {
            let pieces: Vec<_> = pieces.iter().map(|piece| (piece.weight, piece.rows.clone())).collect();
            return self.packed_blocks(kind, inputs, &pieces);
        }
        let worth = inputs >= WORTH_CONVERTING && outputs >= WORTH_CONVERTING;
        let precision = if worth { precision } else { Precision::F32 };
        let name = |piece: &Piece| (self.values.name(piece.weight), piece.rows.clone());
        let key = (pieces.iter().map(name).collect(), precision);
        if let Some(known) = self.packed.get(&key) {
            return Ok(*known);
        }
        let matrices: Vec<_> = pieces.iter().map(|piece| self.values.matrix(piece.weight)).collect::<Result<_, _>>()?;
        let parts = matrices.iter().zip(pieces).map(|(matrix, piece)| matrix.rows(piece.rows.clone(), inputs));
        let packed = self.pack.numbers(precision, inputs, &parts.collect::<Vec<_>>())?;
        drop(matrices);
        self.constants.packed.push(packed);
        self.packed.insert(key, self.constants.packed.len() - 1);
        Ok(self.constants.packed.len() - 1)
    }

    /// Rows of weights in blocks, shared by all products and look-ups with the same.
    pub(super) fn packed_blocks(
        &mut self,
        kind: BlockType,
        inputs: usize,
        pieces: &[(ValueId, Range<usize>)],
    ) -> Result<usize, Error> {
        let name = |(weight, rows): &(ValueId, Range<usize>)| (self.values.name(*weight), rows.clone());
        let key = (pieces.iter().map(name).collect(), Precision::F32);
        if let Some(known) = self.packed.get(&key) {
            return Ok(*known);
        }
        let stored: Vec<_> = pieces.iter().map(|(value, _)| self.values.stored(*value)).collect::<Result<_, _>>()?;
        let row = inputs / kind.elements() * kind.bytes();
        let parts =
            stored.iter().zip(pieces).map(|(stored, (_, rows))| &stored.bytes[rows.start * row..rows.end * row]);
        self.constants.packed.push(self.pack.blocks(kind, inputs, &parts.collect::<Vec<_>>())?);
        self.packed.insert(key, self.constants.packed.len() - 1);
        Ok(self.constants.packed.len() - 1)
    }

    /// The biases of some pieces end to end, zeros where one has none.
    fn bias(&mut self, pieces: &[Piece], outputs: usize) -> Result<Option<usize>, Error> {
        if pieces.iter().all(|piece| piece.bias.is_none()) {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(outputs);
        for piece in pieces {
            match piece.bias {
                Some(bias) => all.extend_from_slice(&self.values.numbers(bias)?[piece.rows.clone()]),
                None => all.resize(all.len() + piece.rows.len(), 0.0),
            }
        }
        self.constants.vectors.push(all);
        Ok(Some(self.constants.vectors.len() - 1))
    }

    /// A convolution is a product over the rows of neighbouring tokens: one for each group of columns, put side by side,
    /// unless groups are too small for that.
    pub(super) fn convolution(&mut self, index: usize, groups: usize) -> Result<(), Error> {
        let node = &self.graph.nodes[index];
        let sizes = self.graph.node(node.inputs[1]).shape.dims();
        let &[Dim::Fixed(outputs), Dim::Fixed(inner), Dim::Fixed(size)] = sizes else {
            unreachable!("a recorded convolution has a weight of three known sizes")
        };
        let (outputs, inner, size) = (outputs as usize, inner as usize, size as usize);
        let group = outputs / groups;
        if groups > 1 && inner.min(group) < WORTH_A_PRODUCT {
            let x = self.whole(node.inputs[0]);
            let bias = node.inputs.get(2).map(|bias| self.vector(*bias)).transpose()?;
            let weight = self.vector(node.inputs[1])?;
            let to = self.buffer(x.rows, outputs);
            self.emit(index, Step::Convolution { x, weight, bias, groups, size, to });
            return Ok(());
        }
        let stored = self.values.numbers(node.inputs[1])?;
        // What a product reads are the rows of neighbours, one after the other.
        let mut weight = vec![0.0; stored.len()];
        for (to, from) in weight.chunks_exact_mut(size * inner).zip(stored.chunks_exact(inner * size)) {
            for (at, to) in to.iter_mut().enumerate() {
                *to = from[at % inner * size + at / inner];
            }
        }
        drop(stored);
        let bias = node.inputs.get(2).map(|bias| self.values.numbers(*bias).map(Cow::into_owned)).transpose()?;
        let precision = if inner.min(group) >= WORTH_CONVERTING { self.precision } else { Precision::F32 };
        let all = self.home(node.inputs[0]);
        let mut parts = Vec::with_capacity(groups);
        for number in 0..groups {
            let mut x = Home { first: all.first + number * inner, columns: inner, ..all };
            if x.columns < x.width {
                let to = self.buffer(x.rows, inner);
                self.steps.push(Step::Copy { x, to });
                x = to;
            }
            if size > 1 {
                let near = self.buffer(x.rows, size * inner);
                self.steps.push(Step::Neighbours { x, size, to: near });
                x = near;
            }
            let rows = number * group..(number + 1) * group;
            let part = Part::Computed(&weight[rows.start * size * inner..rows.end * size * inner]);
            self.constants.packed.push(self.pack.numbers(precision, size * inner, &[part])?);
            let weight = self.constants.packed.len() - 1;
            let bias = bias.as_ref().map(|bias| {
                self.constants.vectors.push(bias[rows].to_vec());
                self.constants.vectors.len() - 1
            });
            let to = self.buffer(x.rows, group);
            let follow = Follow { bias, ..Follow::default() };
            self.steps.push(Step::Product { x, weight, number: None, follow, to });
            parts.push(to);
        }
        self.homes[index] = Some(self.side_by_side(parts));
        Ok(())
    }

    /// Joins values, neighbours first, so that each number is moved as often as their count can be halved.
    fn side_by_side(&mut self, mut parts: Vec<Home>) -> Home {
        while parts.len() > 1 {
            let mut joined = Vec::with_capacity(parts.len().div_ceil(2));
            for pair in parts.chunks(2) {
                joined.push(match *pair {
                    [a, b] => {
                        let to = self.buffer(a.rows, a.columns + b.columns);
                        self.steps.push(Step::Join { a, b, parts: 1, to });
                        to
                    }
                    _ => pair[0],
                });
            }
            parts = joined;
        }
        parts[0]
    }
}
