//! From a graph to the steps of a plan, whatever the device.
//!
//! What depends on no batch is folded to constants first. Then the nodes are gone through in order, and each becomes a
//! step, a part of the step of another node, or a view of another value. Last, values are given places in memory.

mod changes;
mod checks;
mod constants;
mod experts;
mod layout;
mod linear;
mod pack;
mod places;
mod recurrent;
mod step;
mod tables;

use std::collections::HashMap;
use std::ops::Range;

use runtime_graph::{CrossAttentionOptions, Dim, Graph, Input, Node, Op, Relative, ValueId};
use runtime_kernels::Place;

use crate::{Error, Matrix, Precision, Weights};
use constants::Values;
use layout::{Angles, Distances, Held};
use linear::Linear;
use step::{Part as TablePart, Rows};

pub(crate) use changes::{AdaptedRows, Changes, Products};
pub(crate) use checks::{check_alone, check_pasts, check_sources, check_states, check_whole_sources};
pub(crate) use constants::is_fixed;
pub(crate) use layout::{Home, Ids, Layout, count};
pub(crate) use pack::{Pack, Part};
pub(crate) use step::{Constants, Follow, Heads, Lookup, Normalise, Step, Terms, activation, pooling};
pub(crate) use tables::Tables;

/// A graph as steps, with what they compute with.
pub(crate) struct Lowered<P> {
    /// What is computed of texts.
    pub(crate) texts: Program,
    /// What is computed of their sources, where they have such.
    pub(crate) sources: Option<Program>,
    pub(crate) constants: Constants<P>,
    /// What each product holds.
    pub(crate) products: Products,
    pub(crate) outputs: Vec<Output>,
    /// What the steps for sources give to another plan.
    pub(crate) source_outputs: Vec<Output>,
    pub(crate) max_sequence: Option<u32>,
    /// Where a block of kept keys and values has those of each attention, or why they cannot be kept.
    pub(crate) places: Result<Vec<Place>, NotCausal>,
    /// Where a block of a source has those of each attention to it.
    pub(crate) source_places: Vec<Place>,
    /// Numbers of the state of each operator that has one.
    pub(crate) states: Vec<usize>,
}

/// Steps, and what they need memory for.
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) layout: Layout,
}

/// An operator that keeps a plan from going on where a run ended, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotCausal {
    pub(crate) operator: &'static str,
    pub(crate) reason: &'static str,
}

/// A result and where it is.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) from: Source,
}

pub(crate) enum Source {
    Computed(Home),
    Constant(Matrix),
}

/// Brings `graph` into steps, its weights in `precision` into the form of `pack`'s device.
pub(crate) fn lower<P: Pack>(
    graph: &Graph,
    weights: &dyn Weights,
    precision: Precision,
    pack: P,
) -> Result<Lowered<P::Packed>, Error> {
    let mut lowering = Lowering::new(graph, weights, precision, pack)?;
    lowering.plan_linears()?;
    for node in 0..graph.nodes.len() {
        lowering.node(node)?;
    }
    lowering.finish()
}

/// What tells packed weights apart: the names and rows that they hold, and how.
type PackedKey = (Vec<(String, Range<usize>)>, Precision);

/// Who reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Node(usize),
    Output,
}

struct Lowering<'g, P: Pack> {
    graph: &'g Graph,
    values: Values<'g>,
    precision: Precision,
    pack: P,
    users: Vec<Vec<User>>,
    /// Where the value of each node is, once a step computes it; slots are those of [`Self::buffers`].
    homes: Vec<Option<Home>>,
    /// Nodes that are part of another node's step.
    fused: Vec<bool>,
    /// The products, each emitted at a node.
    linears: Vec<Linear>,
    steps: Vec<Step>,
    /// What each product holds.
    products: Vec<Vec<Held>>,
    constants: Constants<P::Packed>,
    /// The numbers of packed weights and of tables, by the names and rows that they hold.
    packed: HashMap<PackedKey, usize>,
    tables: HashMap<String, usize>,
    layout: Layout,
    /// Where a block has what is kept of each attention.
    places: Vec<Place>,
    /// Where a block of a source has what is kept of each attention to it.
    source_places: Vec<Place>,
    /// Numbers of the state of each operator that has one.
    states: Vec<usize>,
    /// Rows and columns of the values that steps write.
    buffers: Vec<(Dim, usize)>,
}

impl<'g, P: Pack> Lowering<'g, P> {
    fn new(graph: &'g Graph, weights: &'g dyn Weights, precision: Precision, pack: P) -> Result<Self, Error> {
        let count = graph.nodes.len();
        let mut users = vec![Vec::new(); count];
        for (index, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                let users: &mut Vec<User> = &mut users[input.index()];
                if users.last() != Some(&User::Node(index)) {
                    users.push(User::Node(index));
                }
            }
        }
        graph.outputs.iter().for_each(|output| users[output.value.index()].push(User::Output));
        Ok(Self {
            graph,
            values: Values::fold(graph, weights)?,
            precision,
            pack,
            users,
            homes: vec![None; count],
            fused: vec![false; count],
            linears: Vec::new(),
            steps: Vec::new(),
            products: Vec::new(),
            constants: Constants { packed: Vec::new(), tables: Vec::new(), vectors: Vec::new() },
            packed: HashMap::new(),
            tables: HashMap::new(),
            layout: Layout::default(),
            places: Vec::new(),
            source_places: Vec::new(),
            states: Vec::new(),
            buffers: Vec::new(),
        })
    }

    /// The one node that reads a value, if it is no result and read by no other.
    fn only_user(&self, node: usize) -> Option<usize> {
        match self.users[node][..] {
            [User::Node(user)] => Some(user),
            _ => None,
        }
    }

    fn is_constant(&self, node: usize) -> bool {
        is_fixed(&self.graph.nodes[node])
    }

    /// A new value.
    fn buffer(&mut self, rows: Dim, width: usize) -> Home {
        self.buffers.push((rows, width));
        Home { slot: self.buffers.len() - 1, rows, width, first: 0, columns: width }
    }

    /// A new value of the shape of a node.
    fn buffer_for(&mut self, node: usize) -> Home {
        let (rows, width) = matrix(&self.graph.nodes[node]);
        self.buffer(rows, width)
    }

    /// Where an operand is, as some columns.
    fn home(&self, operand: ValueId) -> Home {
        self.homes[operand.index()].expect("nodes come in the order in which they can be computed")
    }

    /// Where an operand is, with its matrix to itself.
    fn whole(&mut self, operand: ValueId) -> Home {
        let x = self.home(operand);
        if x.columns == x.width {
            return x;
        }
        let to = self.buffer(x.rows, x.columns);
        self.steps.push(Step::Copy { x, to });
        self.homes[operand.index()] = Some(to);
        to
    }

    /// A vector, or the numbers of a matrix, that a step computes with.
    fn vector(&mut self, operand: ValueId) -> Result<usize, Error> {
        self.values.vector(operand, &mut self.constants.vectors)
    }

    fn normalise(&mut self, node: usize) -> Result<Option<Normalise>, Error> {
        let node = &self.graph.nodes[node];
        let (centred, epsilon, offset) = match node.op {
            Op::LayerNorm { epsilon } => (true, epsilon, 0.0),
            Op::RmsNorm { epsilon, offset } => (false, epsilon, offset),
            _ => return Ok(None),
        };
        let weight = self.values.vector_plus(node.inputs[1], offset, &mut self.constants.vectors)?;
        let bias = node.inputs.get(2).map(|bias| self.vector(*bias)).transpose()?;
        Ok(Some(Normalise { centred, weight, bias, epsilon }))
    }

    /// Whether a node normalises whole rows, rather than parts of them.
    fn is_norm_of_rows(&self, node: usize) -> bool {
        let node = &self.graph.nodes[node];
        let weight = || self.graph.node(node.inputs[1]).shape.width();
        matches!(node.op, Op::LayerNorm { .. } | Op::RmsNorm { .. }) && weight() == node.shape.width()
    }

    /// Emits the step of a node, unless it has none of its own.
    fn node(&mut self, index: usize) -> Result<(), Error> {
        let node = &self.graph.nodes[index];
        if let Some(linear) = self.linears.iter().position(|linear| linear.at == index) {
            return self.product(linear);
        }
        if self.fused[index] || matches!(node.op, Op::Input(_) | Op::Linear) || self.is_constant(index) {
            return Ok(());
        }
        let inputs = &node.inputs;
        if let Some(norm) = self.normalise(index)? {
            let (x, to) = (self.whole(inputs[0]), self.buffer_for(index));
            self.emit(index, Step::Norm { x, norm, to });
            return Ok(());
        }
        let step = match node.op {
            Op::Rows => return self.look_up(index),
            Op::Columns { start, width } => {
                let x = self.home(inputs[0]);
                self.homes[index] = Some(Home { first: x.first + start as usize, columns: width as usize, ..x });
                return Ok(());
            }
            Op::Rotary(ref rotary) => {
                let x = self.rotated(index);
                let angles = Angles { frequencies: rotary.frequencies.clone(), factor: rotary.factor };
                let angles = number_of(angles, &mut self.layout.angles);
                Step::Rotary { x, angles, frequencies: rotary.frequencies.len(), head_size: rotary.head_size as usize }
            }
            Op::Convolution { groups } => return self.convolution(index, groups as usize),
            Op::CausalConvolution => self.causal_convolution(index)?,
            Op::SelectiveScan => self.selective_scan(index)?,
            Op::Attention(_) => self.attention(index)?,
            Op::CrossAttention(_) => self.cross_attention(index),
            Op::Experts(options) => self.experts(index, options)?,
            Op::Activation(activation) => {
                Step::Activation { x: self.whole(inputs[0]), activation, to: self.buffer_for(index) }
            }
            Op::Binary(binary) => {
                let (a, b) = (self.whole(inputs[0]), self.whole(inputs[1]));
                let to = self.buffer_for(index);
                if a.width == b.width {
                    Step::Binary { binary, a, b, to }
                } else {
                    Step::ScaleRows { x: a, factors: b, to }
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision")]
            Op::Scale { factor } => {
                Step::Scale { x: self.whole(inputs[0]), factor: factor as f32, to: self.buffer_for(index) }
            }
            Op::Join { parts } => {
                let [a, b] = [self.home(inputs[0]), self.home(inputs[1])];
                Step::Join { a, b, parts: parts as usize, to: self.buffer_for(index) }
            }
            Op::Pool(pooling) => Step::Pool { pooling, x: self.whole(inputs[0]), to: self.buffer_for(index) },
            Op::SelectRows => Step::Select { x: self.whole(inputs[0]), to: self.buffer_for(index) },
            Op::Received { number } => Step::Receive { number: number as usize, to: self.buffer_for(index) },
            Op::Input(_)
            | Op::Weight { .. }
            | Op::Constant { .. }
            | Op::Sinusoids { .. }
            | Op::Transpose
            | Op::Linear
            | Op::LayerNorm { .. }
            | Op::RmsNorm { .. } => return Ok(()),
        };
        self.emit(index, step);
        Ok(())
    }

    fn emit(&mut self, node: usize, step: Step) {
        self.homes[node] = step.to();
        self.steps.push(step);
    }

    /// Look-ups that are only added up become one step, with the norm of the sum.
    fn look_up(&mut self, index: usize) -> Result<(), Error> {
        let mut parts = vec![self.part(index)?];
        let (mut last, mut norm) = (index, None);
        while let Some(user) = self.only_user(last) {
            let node = &self.graph.nodes[user];
            if self.is_norm_of_rows(user) {
                norm = self.normalise(user)?;
                last = user;
                break;
            }
            let other = node.inputs.iter().map(|input| input.index()).find(|input| *input != last);
            let Some(other) = other.filter(|other| {
                node.op == Op::Binary(runtime_graph::Binary::Add)
                    && self.graph.nodes[*other].op == Op::Rows
                    && self.only_user(*other) == Some(user)
                    && self.homes[*other].is_none()
            }) else {
                break;
            };
            parts.push(self.part(other)?);
            self.fused[other] = true;
            self.fused[user] = true;
            last = user;
        }
        self.fused[last] = true;
        let to = self.buffer_for(last);
        self.emit(last, Step::LookUp { parts, norm, to });
        Ok(())
    }

    fn part(&mut self, node: usize) -> Result<TablePart, Error> {
        let [table, ids] = self.graph.nodes[node].inputs[..] else { unreachable!("`rows` has two operands") };
        let Op::Input(input) = self.graph.node(ids).op else { unreachable!("only inputs hold indices") };
        let ids = Ids::new(input, &mut self.layout.countings);
        let name = self.values.name(table);
        if let Some(table) = self.tables.get(&name) {
            return Ok(TablePart { table: *table, ids });
        }
        let (rows, width) = matrix(self.graph.node(table));
        let rows = if let Dim::Fixed(rows) = rows { rows as usize } else { 0 };
        let table = match self.values.blocks(table)? {
            Some(kind) => Lookup::Packed(self.packed_blocks(kind, width, &[(table, 0..rows)])?),
            None if P::TABLES => Lookup::Packed(self.packed_matrix(table, rows, width)?),
            None => Lookup::Table(self.values.table(table)?),
        };
        self.constants.tables.push(Rows { table, rows });
        self.tables.insert(name, self.constants.tables.len() - 1);
        Ok(TablePart { table: self.constants.tables.len() - 1, ids })
    }

    /// The operand of a rotary embedding where it may be changed.
    fn rotated(&mut self, node: usize) -> Home {
        let operand = self.graph.nodes[node].inputs[0];
        let x = self.home(operand);
        let views_alone = |value: usize| self.only_user(value) == Some(node);
        // Columns of a matrix may be changed where nobody else reads those columns.
        let source = &self.graph.node(operand).op;
        let alone = match source {
            Op::Columns { .. } => views_alone(operand.index()) && self.columns_apart(operand),
            _ => views_alone(operand.index()),
        };
        if alone {
            return x;
        }
        let to = self.buffer(x.rows, x.columns);
        self.steps.push(Step::Copy { x, to });
        to
    }

    /// Whether all readers of the matrix that these are columns of read other columns.
    fn columns_apart(&self, columns: ValueId) -> bool {
        let range = |node: &Node| match node.op {
            Op::Columns { start, width } => Some(start..start + width),
            _ => None,
        };
        let mine = range(self.graph.node(columns));
        let matrix = self.graph.node(columns).inputs[0];
        // Columns of columns share a matrix with readers that are not seen from here.
        if matches!(self.graph.node(matrix).op, Op::Columns { .. }) {
            return false;
        }
        self.users[matrix.index()].iter().all(|user| match user {
            User::Output => false,
            User::Node(user) if *user == columns.index() => true,
            User::Node(user) => match (range(&self.graph.nodes[*user]), &mine) {
                (Some(other), Some(mine)) => other.end <= mine.start || mine.end <= other.start,
                _ => false,
            },
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
    fn attention(&mut self, index: usize) -> Result<Step, Error> {
        let node = &self.graph.nodes[index];
        let Op::Attention(options) = &node.op else { unreachable!("the caller has looked") };
        let heads = options.heads as usize;
        let (_, width) = matrix(node);
        let relative = match options.relative {
            None => None,
            Some(relative) => {
                let tables = &node.inputs[3..];
                let rows = match self.graph.node(tables[0]).shape.dims() {
                    [Dim::Fixed(rows), ..] => *rows as usize,
                    _ => 0,
                };
                let vectors: Vec<usize> = tables.iter().map(|table| self.vector(*table)).collect::<Result<_, _>>()?;
                // What is added to a score is a table by distance, or products with the rows of one.
                let is_bias = !matches!(relative, Relative::Disentangled { .. });
                let vector = is_bias.then(|| vectors[0]);
                let distances = Distances { relative, vector, heads, rows, causal: options.causal };
                let distances = number_of(distances, &mut self.layout.distances);
                let mut vectors = vectors.into_iter();
                Some(match relative {
                    Relative::Bias { .. } | Relative::Alibi => {
                        Terms::Bias { distances, table: vectors.next().unwrap_or_default() }
                    }
                    Relative::Disentangled { keys, queries, .. } => Terms::Disentangled {
                        distances,
                        keys: vectors.by_ref().take(usize::from(keys)).next(),
                        queries: vectors.next().filter(|_| queries),
                    },
                })
            }
        };
        let heads = Heads {
            heads,
            key_value_heads: options.key_value_heads as usize,
            causal: options.causal,
            window: options.window.map(|window| window as usize),
            scale: options.scale.unwrap_or_else(|| 1.0 / ((width / heads) as f64).sqrt()) as f32,
            soft_cap: options.soft_cap.map(|cap| cap as f32),
            relative,
        };
        let [q, k, v] = [0, 1, 2].map(|operand| self.home(node.inputs[operand]));
        let place = (q.rows == Dim::Tokens).then(|| new_place(&mut self.places, &heads, width));
        Ok(Step::Attention { q, k, v, heads, place, to: self.buffer_for(index) })
    }

    /// Emits the step that keeps the keys and values, and returns the one that attends to them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
    fn cross_attention(&mut self, index: usize) -> Step {
        let node = &self.graph.nodes[index];
        let Op::CrossAttention(CrossAttentionOptions { heads, key_value_heads, scale }) = node.op else {
            unreachable!("the caller has looked")
        };
        let (_, width) = matrix(node);
        let heads = heads as usize;
        let heads = Heads {
            heads,
            key_value_heads: key_value_heads as usize,
            causal: false,
            window: None,
            scale: scale.unwrap_or_else(|| 1.0 / ((width / heads) as f64).sqrt()) as f32,
            soft_cap: None,
            relative: None,
        };
        let [q, k, v] = [0, 1, 2].map(|operand| self.home(node.inputs[operand]));
        let place = new_place(&mut self.source_places, &heads, width);
        self.steps.push(Step::Keep { k, v, place });
        Step::CrossAttention { q, heads, place, to: self.buffer_for(index) }
    }

    fn finish(self) -> Result<Lowered<P::Packed>, Error> {
        let (mut outputs, mut source_outputs) = (Vec::new(), Vec::new());
        for output in &self.graph.outputs {
            let from = match self.homes[output.value.index()] {
                Some(home) => Source::Computed(home),
                None => Source::Constant(self.constant_output(output.value)?),
            };
            let of_source = matches!(from, Source::Computed(Home { rows: Dim::Source, .. }));
            let outputs = if of_source { &mut source_outputs } else { &mut outputs };
            outputs.push(Output { name: output.name.clone(), from });
        }
        let of_source = |step: &Step| step.to().is_none_or(|home| home.rows == Dim::Source);
        let (sources, texts): (Vec<Step>, Vec<Step>) = self.steps.into_iter().partition(of_source);
        let program = |mut steps: Vec<Step>, outputs: &mut [Output]| {
            let computed = outputs.iter_mut().filter_map(|output| match &mut output.from {
                Source::Computed(home) => Some(home),
                Source::Constant(_) => None,
            });
            let slots = places::assign(&self.buffers, &mut steps, &mut computed.collect::<Vec<_>>());
            Program { steps, layout: Layout { slots, ..self.layout.clone() } }
        };
        let has_sources = !self.source_places.is_empty() || !source_outputs.is_empty();
        Ok(Lowered {
            texts: program(texts, &mut outputs),
            sources: has_sources.then(|| program(sources, &mut source_outputs)),
            source_places: self.source_places,
            states: self.states,
            constants: self.constants,
            products: Products::new(self.products),
            outputs,
            source_outputs,
            max_sequence: self.graph.max_sequence,
            places: match looks_ahead(self.graph) {
                None => Ok(self.places),
                Some(operator) => Err(operator),
            },
        })
    }

    fn constant_output(&self, value: ValueId) -> Result<Matrix, Error> {
        let data = self.values.numbers(value)?.into_owned();
        let (rows, width) = matrix(self.graph.node(value));
        let rows = if let Dim::Fixed(rows) = rows { rows as usize } else { 0 };
        Ok(Matrix { rows, width, data })
    }
}

/// The first operator that keeps what is computed of a token from standing once it is computed.
fn looks_ahead(graph: &Graph) -> Option<NotCausal> {
    // A source is read as a whole.
    let of_texts = |node: &&Node| !matches!(node.shape.as_matrix(), Some((Dim::Source, _)));
    graph.nodes.iter().filter(of_texts).find_map(|node| {
        let reason = match &node.op {
            Op::Attention(options) if !options.causal => "sees tokens that follow",
            Op::Attention(options) if matches!(options.relative, Some(Relative::Disentangled { .. })) => {
                "adds products with distances"
            }
            Op::Convolution { .. } => "sees tokens that follow",
            Op::Pool(_) => "needs whole sequences",
            // How many of the tokens before were counted is not kept.
            Op::Input(Input::Positions { padding: Some(_), .. }) => "do not count some of the tokens before",
            _ => return None,
        };
        Some(NotCausal { operator: node.op.name(), reason })
    })
}

/// Rows and columns of a node's result; what is no matrix is never a step of its own.
fn matrix(node: &Node) -> (Dim, usize) {
    node.shape.as_matrix().map_or((Dim::Fixed(0), 0), |(rows, width)| (rows, width as usize))
}

/// Adds the keys and values of an attention to those of a block.
fn new_place(places: &mut Vec<Place>, heads: &Heads, width: usize) -> usize {
    let first = places.last().map_or(0, |place| place.first + place.len());
    places.push(Place { first, heads: heads.key_value_heads, head_size: width / heads.heads });
    places.len() - 1
}

/// The number of `item` among `known`, where it is put if it is new.
fn number_of<T: PartialEq>(item: T, known: &mut Vec<T>) -> usize {
    known.iter().position(|other| *other == item).unwrap_or_else(|| {
        known.push(item);
        known.len() - 1
    })
}
