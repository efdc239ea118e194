//! One run: steps as calls of kernels.

use runtime_gpu::{
    Attention, Buffer, CausalConvolution, Columns, Convolution, Elementwise, Finish, Gpu, Norm, Recorder, Relative,
    Rotary, Routing, Scanned, SelectiveScan, Sequence, Sequences,
};
use runtime_graph::Binary;

use super::adapter::{Adapted, are_changed};
use super::{GpuBlocks, GpuPlan};
use crate::batch::Past;
use crate::lower::{
    AdaptedRows, Follow, Heads, Home, Ids, Layout, Lookup, Normalise, Program, Step, Tables, Terms, activation, count,
    pooling,
};
use crate::{Batch, Error, Matrix};

/// What a run prepares, with the tables that are on the GPU already.
pub(super) struct Tabled {
    host: Tables,
    /// Cosines and sines, and of how many positions they are.
    angles: Vec<Option<(usize, [Buffer; 2])>>,
    /// Numbers by distance, and how far they reach.
    distances: Vec<Option<(usize, Buffer)>>,
}

impl Tabled {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            host: Tables::new(layout),
            angles: layout.angles.iter().map(|_| None).collect(),
            distances: layout.distances.iter().map(|_| None).collect(),
        }
    }

    pub(super) fn fit(&mut self, layout: &Layout, batch: &Batch) {
        self.host.fit(layout, batch);
    }

    pub(super) fn host(&self) -> &Tables {
        &self.host
    }

    /// Cosines and sines by position.
    fn angles(&mut self, gpu: &Gpu, number: usize) -> Result<[Buffer; 2], Error> {
        let table = &self.host.angles[number];
        match &self.angles[number] {
            Some((known, buffers)) if *known == table.cosines.len() => Ok(buffers.clone()),
            _ => {
                let buffers = [gpu.upload_f32(&table.cosines)?, gpu.upload_f32(&table.sines)?];
                self.angles[number] = Some((table.cosines.len(), buffers.clone()));
                Ok(buffers)
            }
        }
    }

    /// What distances add, or the rows of tables that they stand for.
    fn distances(&mut self, gpu: &Gpu, number: usize, bias: Option<(&[f32], usize)>) -> Result<(usize, Buffer), Error> {
        let table = &mut self.host.distances[number];
        let known = self.distances[number].as_ref().filter(|(reach, _)| *reach == table.reach);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let buffer = match bias {
            Some((vector, heads)) => {
                table.spread(vector, heads);
                gpu.upload_f32(&table.bias)?
            }
            None => gpu.upload(&table.rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>())?,
        };
        self.distances[number] = Some((table.reach, buffer.clone()));
        Ok((table.reach, buffer))
    }
}

/// A run that is being recorded.
pub(super) struct Run<'a> {
    plan: &'a GpuPlan,
    pub(super) batch: &'a Batch,
    blocks: Option<&'a GpuBlocks>,
    tabled: &'a mut Tabled,
    pub(super) recorder: Recorder,
    pub(super) adapters: Vec<AdaptedRows>,
    slots: Vec<Buffer>,
    sequences: Sequences,
    /// The sequences as their sources are kept.
    sources: Option<Sequences>,
    ids: Vec<(Ids, Buffer)>,
    rows: Option<Buffer>,
    /// The experts of the mixture that is being computed.
    routing: Option<Routing>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        plan: &'a GpuPlan,
        program: &Program,
        batch: &'a Batch,
        blocks: Option<&'a GpuBlocks>,
        tabled: &'a mut Tabled,
        mut recorder: Recorder,
    ) -> Result<Self, Error> {
        let slots = program.layout.slots.iter();
        let slots = slots.map(|(rows, width)| plan.gpu.scratch(size_of::<f32>() * count(batch, *rows) * width));
        let slots = slots.collect::<Result<_, _>>()?;
        let sequences = recorder.sequences(&sequences(batch, batch.pasts()))?;
        let sources = match batch.sources() {
            [] => None,
            sources => Some(recorder.sequences(&self::sequences(batch, sources))?),
        };
        Ok(Self {
            plan,
            batch,
            blocks,
            tabled,
            recorder,
            adapters: AdaptedRows::of(batch),
            slots,
            sequences,
            sources,
            ids: Vec::new(),
            rows: None,
            routing: None,
        })
    }

    /// Uploads what other plans have computed, into the slots that the first steps have for it. Since nothing before wrote to
    /// these, it may be done before all that is recorded.
    pub(super) fn receive(&mut self, steps: &[Step], received: &[&Matrix]) -> Result<(), Error> {
        for step in steps {
            let Step::Receive { number, to } = step else { break };
            let bytes: Vec<u8> = received[*number].data.iter().flat_map(|x| x.to_le_bytes()).collect();
            if !bytes.is_empty() {
                self.plan.gpu.write(&self.slot(*to), 0, &bytes)?;
            }
        }
        Ok(())
    }

    /// Records a step; the batch has been checked.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            // It is there before the first step.
            Step::Receive { .. } => {}
            Step::LookUp { parts, norm, to } => {
                let (rows, buffer) = (self.count(*to), self.slot(*to));
                for (index, part) in parts.iter().enumerate() {
                    let ids = self.ids(part.ids)?;
                    let Lookup::Packed(table) = self.plan.lowered.constants.tables[part.table].table else {
                        unreachable!("tables are packed for GPUs")
                    };
                    let table = &self.plan.lowered.constants.packed[table];
                    self.recorder.look_up(table, &ids, rows, index > 0, &buffer);
                }
                self.normalise(*norm, &buffer, rows, to.width, &buffer);
            }
            Step::Product { x, weight, number, follow, to } => self.product(*x, *weight, *number, follow, *to)?,
            Step::Attention { q, k, v, heads, place, to } => {
                let relative = self.relative(heads)?;
                let operands = [q, k, v].map(|home| self.slot(*home));
                let [q, k, v] = columns([q, k, v], &operands);
                let attention = attention(heads, to.columns, relative.as_ref());
                let to = self.slot(*to);
                match self.blocks.zip(*place) {
                    None => self.recorder.attention(&self.sequences, [q, k, v], &attention, &to),
                    Some((blocks, place)) => {
                        let kept = &blocks.texts()[place];
                        self.recorder.keep(&self.sequences, kept, [k, v]);
                        self.recorder.attention_over_kept(&self.sequences, kept, q, &attention, &to);
                    }
                }
            }
            Step::Keep { k, v, place } => {
                let blocks = self.blocks.ok_or(Error::OtherCache)?;
                let operands = [k, v].map(|home| self.slot(*home));
                self.recorder.keep(&self.sequences, &blocks.sources()[*place], columns([k, v], &operands));
            }
            Step::CrossAttention { q, heads, place, to } => {
                let blocks = self.blocks.ok_or(Error::OtherCache)?;
                let sources = self.sources.as_ref().ok_or(Error::NoSources)?;
                let (operand, attention) = (self.slot(*q), attention(heads, to.columns, None));
                let [q] = columns([q], std::array::from_ref(&operand));
                let (kept, to) = (&blocks.sources()[*place], self.slot(*to));
                self.recorder.attention_over_kept(sources, kept, q, &attention, &to);
            }
            Step::Norm { x, norm, to } => {
                self.normalise(Some(*norm), &self.slot(*x), self.count(*x), x.width, &self.slot(*to));
            }
            Step::Activation { x, activation, to } => {
                self.elementwise(
                    *x,
                    &Elementwise { activation: Some(self::activation(*activation)), ..Elementwise::default() },
                    *to,
                );
            }
            Step::Binary { binary, a, b, to } => {
                let b = self.slot(*b);
                let chain = match binary {
                    Binary::Add => Elementwise { add: Some(&b), ..Elementwise::default() },
                    Binary::Multiply => Elementwise { multiply: Some(&b), ..Elementwise::default() },
                };
                self.elementwise(*a, &chain, *to);
            }
            Step::Scale { x, factor, to } => {
                self.elementwise(*x, &Elementwise { scale: Some(*factor), ..Elementwise::default() }, *to);
            }
            Step::ScaleRows { x, factors, to } => {
                let rows = self.count(*x);
                self.recorder.scale_rows(&self.slot(*x), &self.slot(*factors), rows, x.width, &self.slot(*to));
            }
            Step::Copy { x, to } => {
                let (buffer, rows) = (self.slot(*x), self.count(*x));
                let [from] = columns([x], std::array::from_ref(&buffer));
                self.recorder.copy_columns(from, rows, x.columns, &self.slot(*to));
            }
            Step::Join { a, b, parts, to } => {
                let (buffers, rows) = ([self.slot(*a), self.slot(*b)], self.count(*a));
                let [from_a, from_b] = columns([a, b], &buffers);
                self.recorder.join(from_a, from_b, rows, [a.columns, b.columns], *parts, &self.slot(*to));
            }
            Step::Rotary { x, angles, frequencies, head_size } => {
                let [cosines, sines] = self.tabled.angles(&self.plan.gpu, *angles)?;
                let positions = self.ids(Ids::Positions)?;
                let rotary =
                    Rotary { cosines: &cosines, sines: &sines, frequencies: *frequencies, head_size: *head_size };
                let (buffer, rows) = (self.slot(*x), self.count(*x));
                let [columns] = columns([x], std::array::from_ref(&buffer));
                self.recorder.rotary(columns, rows, x.columns, &positions, &rotary);
            }
            Step::Neighbours { x, size, to } => {
                self.recorder.neighbours(&self.sequences, &self.slot(*x), x.width, *size, &self.slot(*to));
            }
            Step::Convolution { x, weight, bias, groups, size, to } => {
                let convolution = Convolution {
                    weight: &self.plan.vectors[*weight],
                    bias: bias.map(|bias| &self.plan.vectors[bias]),
                    inputs: x.width,
                    outputs: to.width,
                    groups: *groups,
                    size: *size,
                };
                self.recorder.convolution(&self.sequences, &self.slot(*x), &convolution, &self.slot(*to));
            }
            Step::CausalConvolution { x, weight, bias, size, state, to } => {
                let convolution = CausalConvolution {
                    weight: &self.plan.vectors[*weight],
                    bias: bias.map(|bias| &self.plan.vectors[bias]),
                    width: to.width,
                    size: *size,
                };
                let (operand, kept) = (self.slot(*x), self.blocks.map(|blocks| &blocks.states()[*state]));
                let [x] = columns([x], std::array::from_ref(&operand));
                self.recorder.causal_convolution(&self.sequences, kept, x, &convolution, &self.slot(*to));
            }
            Step::SelectiveScan { x, delta, a, b, c, d, state, to } => {
                let scan = SelectiveScan {
                    a: &self.plan.vectors[*a],
                    d: d.map(|d| &self.plan.vectors[d]),
                    width: to.width,
                    states: b.columns,
                };
                let operands = [x, delta, b, c].map(|home| self.slot(*home));
                let [x, delta, b, c] = columns([x, delta, b, c], &operands);
                let kept = self.blocks.map(|blocks| &blocks.states()[*state]);
                let scanned = Scanned { x, delta, b, c };
                self.recorder.selective_scan(&self.sequences, kept, scanned, &scan, &self.slot(*to));
            }
            Step::Pool { pooling: how, x, to } => {
                self.recorder.pool(&self.sequences, pooling(*how), &self.slot(*x), x.width, &self.slot(*to));
            }
            Step::Select { x, to } => {
                let (rows, count) = (self.rows()?, self.batch.rows().len());
                self.recorder.select_rows(&self.slot(*x), x.width, &rows, count, &self.slot(*to));
            }
            Step::Route { logits, x, top_k, normalise, to } => {
                let [of_experts, rows, result] = [logits, x, to].map(|home| self.slot(*home));
                let (count, experts) = (self.count(*x), logits.width);
                let routing =
                    self.recorder.route(&of_experts, count, experts, *top_k, *normalise, &rows, x.width, &result)?;
                self.routing = Some(routing);
            }
            Step::ExpertProducts { x, weights, activation, factor, to } => {
                let factor = factor.map(|home| self.slot(home));
                let activation = activation.map(self::activation);
                let finish = Finish { activation, factor: factor.as_ref(), ..Finish::default() };
                let [x, to] = [x, to].map(|home| self.slot(*home));
                let routing = self.routing.as_ref().expect("rows are routed first");
                let weight = &self.plan.lowered.constants.packed[weights[0]];
                self.recorder.expert_products(routing, &x, weight, &finish, &to);
            }
            Step::Mix { x, to } => {
                let (x, result) = (self.slot(*x), self.slot(*to));
                let routing = self.routing.as_ref().expect("rows are routed first");
                self.recorder.mix(routing, &x, to.width, &result);
            }
        }
        Ok(())
    }

    fn product(
        &mut self,
        x: Home,
        weight: usize,
        number: Option<usize>,
        follow: &Follow,
        to: Home,
    ) -> Result<(), Error> {
        let [x, result] = [x, to].map(|home| self.slot(home));
        let (factor, add) = (follow.factor.map(|home| self.slot(home)), follow.add.map(|home| self.slot(home)));
        let finish = Finish {
            bias: follow.bias.map(|bias| &self.plan.vectors[bias]),
            activation: follow.activation.map(activation),
            factor: factor.as_ref(),
            add: add.as_ref(),
        };
        let (weight, rows) = (&self.plan.lowered.constants.packed[weight], self.count(to));
        match number.filter(|number| are_changed(&self.adapters, *number)) {
            None => self.recorder.product(&x, rows, weight, &finish, &result),
            Some(number) => {
                self.adapted(&Adapted { number, dim: to.rows, rows, x: &x, weight, finish, to: &result })?;
            }
        }
        self.normalise(follow.norm, &result, rows, to.width, &result);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision")]
    fn normalise(&mut self, norm: Option<Normalise>, x: &Buffer, rows: usize, width: usize, to: &Buffer) {
        let Some(Normalise { centred, weight, bias, epsilon }) = norm else { return };
        let together = self.plan.lowered.constants.vectors[weight].len();
        let vector = |vector: usize| &self.plan.vectors[vector];
        let norm =
            Norm { centred, weight: vector(weight), bias: bias.map(vector), width: together, epsilon: epsilon as f32 };
        self.recorder.norm(x, rows * (width / together.max(1)), &norm, to);
    }

    fn elementwise(&mut self, x: Home, chain: &Elementwise<'_>, to: Home) {
        let numbers = self.count(x) * x.width;
        self.recorder.elementwise(&self.slot(x), numbers, chain, &self.slot(to));
    }

    fn relative(&mut self, heads: &Heads) -> Result<Option<Distant>, Error> {
        let vector = |vector: usize| self.plan.vectors[vector].clone();
        let gpu = &self.plan.gpu;
        Ok(match heads.relative {
            None => None,
            Some(Terms::Bias { distances, table }) => {
                let numbers = &self.plan.lowered.constants.vectors[table];
                let (reach, table) = self.tabled.distances(gpu, distances, Some((numbers, heads.heads)))?;
                Some(Distant::Bias { table, reach })
            }
            Some(Terms::Disentangled { distances, keys, queries }) => {
                let (reach, rows) = self.tabled.distances(gpu, distances, None)?;
                Some(Distant::Disentangled { rows, reach, keys: keys.map(vector), queries: queries.map(vector) })
            }
        })
    }

    pub(super) fn count(&self, home: Home) -> usize {
        count(self.batch, home.rows)
    }

    pub(super) fn slot(&self, home: Home) -> Buffer {
        self.slots[home.slot].clone()
    }

    /// The indices of an input, uploaded at their first use.
    fn ids(&mut self, ids: Ids) -> Result<Buffer, Error> {
        if let Some((_, known)) = self.ids.iter().find(|(known, _)| *known == ids) {
            return Ok(known.clone());
        }
        let buffer = self.recorder.upload_u32(self.tabled.host.ids(self.batch, ids))?;
        self.ids.push((ids, buffer.clone()));
        Ok(buffer)
    }

    fn rows(&mut self) -> Result<Buffer, Error> {
        if self.rows.is_none() {
            self.rows = Some(self.recorder.upload_u32(self.batch.rows())?);
        }
        Ok(self.rows.clone().expect("it was just set"))
    }
}

/// What distances add, on the GPU.
enum Distant {
    Bias { table: Buffer, reach: usize },
    Disentangled { rows: Buffer, reach: usize, keys: Option<Buffer>, queries: Option<Buffer> },
}

fn attention<'a>(heads: &Heads, width: usize, relative: Option<&'a Distant>) -> Attention<'a> {
    Attention {
        heads: heads.heads,
        key_value_heads: heads.key_value_heads,
        head_size: width / heads.heads,
        causal: heads.causal,
        window: heads.window,
        scale: heads.scale,
        soft_cap: heads.soft_cap,
        relative: relative.map(|relative| match relative {
            Distant::Bias { table, reach } => Relative::Bias { table, reach: *reach },
            Distant::Disentangled { rows, reach, keys, queries } => {
                Relative::Disentangled { rows, reach: *reach, keys: keys.as_ref(), queries: queries.as_ref() }
            }
        }),
    }
}

fn columns<'a, const N: usize>(homes: [&Home; N], buffers: &'a [Buffer; N]) -> [Columns<'a>; N] {
    std::array::from_fn(|at| Columns { buffer: &buffers[at], stride: homes[at].width, first: homes[at].first })
}

/// The sequences of a batch with what is kept of each, if anything is.
fn sequences<'a>(batch: &'a Batch, kept: &'a [Past]) -> Vec<Sequence<'a>> {
    let of = |(sequence, span): (usize, std::ops::Range<usize>)| match kept.get(sequence) {
        Some(past) => Sequence { tokens: span.len(), past: past.tokens, blocks: &past.blocks },
        None => Sequence { tokens: span.len(), past: 0, blocks: &[] },
    };
    batch.spans().enumerate().map(of).collect()
}
