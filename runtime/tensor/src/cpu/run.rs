//! Steps on the processor.

use runtime_graph::Binary;
use runtime_kernels as kernels;
use runtime_kernels::{Attention, CachedAttention, Finish, Norm, Packed, Product, Rotary, Scanned, States, Team};

use super::Keeping;
use super::arena::Arena;
use crate::Batch;
use crate::lower::{Heads, Lookup, Normalise, Step, Terms, activation, count, pooling};

/// What steps compute with.
pub(super) type Constants = crate::lower::Constants<Packed>;

impl Step {
    /// Computes the step; the batch has been checked.
    pub(super) fn run(
        &self,
        team: &Team<'_>,
        constants: &Constants,
        batch: &Batch,
        keeping: Option<&Keeping<'_>>,
        arena: &mut Arena,
    ) {
        let Some(home) = self.to() else {
            return self.fill(team, constants, batch, keeping, arena, &mut []);
        };
        let rows = count(batch, home.rows);
        // The slot of the result is taken out, so that the others can be read meanwhile.
        let mut slot = std::mem::take(&mut arena.slots[home.slot]);
        self.fill(team, constants, batch, keeping, arena, &mut slot[..rows * home.width]);
        arena.slots[home.slot] = slot;
    }

    fn fill(
        &self,
        team: &Team<'_>,
        constants: &Constants,
        batch: &Batch,
        keeping: Option<&Keeping<'_>>,
        arena: &mut Arena,
        to: &mut [f32],
    ) {
        match self {
            // It is there before the first step.
            Self::Receive { .. } => {}
            Self::LookUp { parts, norm, to: home } => {
                for (index, part) in parts.iter().enumerate() {
                    let (table, ids) = (&constants.tables[part.table].table, arena.tables.ids(batch, part.ids));
                    match table {
                        Lookup::Table(table) => kernels::look_up_rows(team, table, home.width, ids, index > 0, to),
                        Lookup::Packed(weight) => constants.packed[*weight].look_up(team, ids, index > 0, to),
                    }
                }
                if let Some(norm) = norm {
                    norm.with(constants).run_in_place(team, to);
                }
            }
            Self::Product { x, weight, number, follow, to: home } => {
                let mut quantized = std::mem::take(&mut arena.quantized);
                let mut adapting = std::mem::take(&mut arena.adapting);
                let finish = Finish {
                    bias: follow.bias.map(|bias| &constants.vectors[bias][..]),
                    activation: follow.activation.map(activation),
                    factor: follow.factor.map(|home| arena.whole(home, batch)),
                    add: follow.add.map(|home| arena.whole(home, batch)),
                    norm: follow.norm.map(|norm| norm.with(constants)),
                };
                let product = Product { x: arena.whole(*x, batch), weight: &constants.packed[*weight], finish };
                match number.filter(|number| adapting.changes(*number)) {
                    None => product.run(team, &mut quantized, to),
                    Some(number) => adapting.run(team, number, home.rows, &product, &mut quantized, to),
                }
                (arena.quantized, arena.adapting) = (quantized, adapting);
            }
            Self::Attention { q, k, v, heads, place, to: home } => {
                if let Some(Terms::Bias { distances, table }) = heads.relative {
                    arena.tables.distances[distances].spread(&constants.vectors[table], heads.heads);
                }
                let mut scratch = std::mem::take(&mut arena.attention);
                let operands = [q, k, v].map(|home| arena.columns(*home, batch));
                let attention = heads.with(constants, batch, arena, home.columns);
                match keeping.zip(*place) {
                    None => attention.run(team, operands, &mut scratch, to),
                    Some((Keeping { kept, places, .. }, place)) => {
                        let cached = CachedAttention { attention, place: places[place], kept };
                        cached.run(team, operands, &mut scratch, to);
                    }
                }
                arena.attention = scratch;
            }
            Self::Keep { k, v, place } => {
                let Keeping { kept, source_places, .. } = keeping.expect("sources are read into a cache");
                let operands = [k, v].map(|home| arena.columns(*home, batch));
                kept.keep(team, source_places[*place], batch.offsets(), operands);
            }
            Self::CrossAttention { q, heads, place, to: home } => {
                let Keeping { kept, source_places, .. } = keeping.expect("texts with sources are run after them");
                let mut scratch = std::mem::take(&mut arena.attention);
                let attention = heads.with(constants, batch, arena, home.columns);
                let cached = CachedAttention { attention, place: source_places[*place], kept };
                cached.run_over_sources(team, arena.columns(*q, batch), &mut scratch, to);
                arena.attention = scratch;
            }
            Self::Route { logits, x, top_k, normalise, .. } => {
                let mut routing = std::mem::take(&mut arena.routing);
                routing.choose(team, arena.whole(*logits, batch), logits.width, *top_k, *normalise);
                kernels::select_rows(team, arena.whole(*x, batch), x.width, routing.rows(), to);
                arena.routing = routing;
            }
            Self::ExpertProducts { x, weights, activation: function, factor, .. } => {
                let mut quantized = std::mem::take(&mut arena.quantized);
                let x = arena.whole(*x, batch);
                let factor = factor.map(|factor| arena.whole(factor, batch));
                for (expert, places) in arena.routing.experts() {
                    let weight = &constants.packed[weights[expert]];
                    let (inputs, outputs) = (weight.inputs(), weight.outputs());
                    let finish = Finish {
                        activation: function.map(activation),
                        factor: factor.map(|factor| &factor[places.start * outputs..places.end * outputs]),
                        ..Finish::default()
                    };
                    let product = Product { x: &x[places.start * inputs..places.end * inputs], weight, finish };
                    product.run(team, &mut quantized, &mut to[places.start * outputs..places.end * outputs]);
                }
                arena.quantized = quantized;
            }
            Self::Mix { x, to: home } => arena.routing.sum(team, arena.whole(*x, batch), home.width, to),
            Self::Norm { x, norm, .. } => norm.with(constants).run(team, arena.whole(*x, batch), to),
            Self::Activation { x, activation: function, .. } => {
                kernels::combine(team, arena.whole(*x, batch), Some(activation(*function)), None, to);
            }
            Self::Binary { binary, a, b, .. } => {
                let binary = match binary {
                    Binary::Add => kernels::Binary::Add,
                    Binary::Multiply => kernels::Binary::Multiply,
                };
                kernels::combine(team, arena.whole(*a, batch), None, Some((binary, arena.whole(*b, batch))), to);
            }
            Self::Scale { x, factor, .. } => kernels::scale(team, arena.whole(*x, batch), *factor, to),
            Self::ScaleRows { x, factors, .. } => {
                kernels::scale_rows(team, arena.whole(*x, batch), arena.whole(*factors, batch), to);
            }
            Self::Copy { x, .. } => kernels::copy_columns(team, arena.columns(*x, batch), x.columns, to),
            Self::Join { a, b, parts, .. } => {
                let [columns_a, columns_b] = [a, b].map(|x| arena.columns(*x, batch));
                kernels::join(team, columns_a, columns_b, [a.columns, b.columns], *parts, to);
            }
            Self::Rotary { x, angles, frequencies, head_size } => {
                let table = &arena.tables.angles[*angles];
                let (cosines, sines) = (&table.cosines[..], &table.sines[..]);
                let rotary = Rotary { cosines, sines, frequencies: *frequencies, head_size: *head_size };
                rotary.run(team, batch.positions(), x.first..x.first + x.columns, x.width, to);
            }
            Self::Neighbours { x, size, .. } => {
                kernels::neighbours(team, batch.offsets(), arena.whole(*x, batch), x.width, *size, to);
            }
            Self::Convolution { x, weight, bias, groups, size, to: home } => {
                let convolution = kernels::Convolution {
                    weight: &constants.vectors[*weight],
                    bias: bias.map(|bias| &constants.vectors[bias][..]),
                    inputs: x.width,
                    outputs: home.width,
                    groups: *groups,
                    size: *size,
                };
                convolution.run(team, batch.offsets(), arena.whole(*x, batch), to);
            }
            Self::CausalConvolution { x, weight, bias, size, state, to: home } => {
                let convolution = kernels::CausalConvolution {
                    weight: &constants.vectors[*weight],
                    bias: bias.map(|bias| &constants.vectors[bias][..]),
                    width: home.width,
                    size: *size,
                };
                let states = keeping.map(|keeping| keeping.states(*state));
                convolution.run(team, batch.offsets(), states, arena.columns(*x, batch), to);
            }
            Self::SelectiveScan { x, delta, a, b, c, d, state, to: home } => {
                let scan = kernels::SelectiveScan {
                    a: &constants.vectors[*a],
                    d: d.map(|d| &constants.vectors[d][..]),
                    width: home.width,
                    states: b.columns,
                };
                let states = keeping.map(|keeping| keeping.states(*state));
                let [x, delta, b, c] = [x, delta, b, c].map(|home| arena.columns(*home, batch));
                scan.run(team, batch.offsets(), states, Scanned { x, delta, b, c }, to);
            }
            Self::Pool { pooling: how, x, .. } => {
                pooling(*how).run(team, batch.offsets(), x.width, arena.whole(*x, batch), to);
            }
            Self::Select { x, .. } => {
                kernels::select_rows(team, arena.whole(*x, batch), x.width, batch.rows(), to);
            }
        }
    }
}

impl<'a> Keeping<'a> {
    /// What is kept of an operator with a state, by its number.
    fn states(&'a self, number: usize) -> States<'a> {
        States { kept: &self.kept, first: self.states[number] }
    }
}

impl Normalise {
    pub(super) fn with(self, constants: &Constants) -> Norm<'_> {
        let vector = |vector: usize| &constants.vectors[vector][..];
        Norm { centred: self.centred, weight: vector(self.weight), bias: self.bias.map(vector), epsilon: self.epsilon }
    }
}

impl Heads {
    fn with<'a>(&self, constants: &'a Constants, batch: &'a Batch, arena: &'a Arena, width: usize) -> Attention<'a> {
        let vector = |vector: usize| &constants.vectors[vector][..];
        let relative = self.relative.map(|terms| match terms {
            Terms::Bias { distances, .. } => {
                let table = &arena.tables.distances[distances];
                kernels::Relative::Bias { table: &table.bias, reach: table.reach }
            }
            Terms::Disentangled { distances, keys, queries } => {
                let table = &arena.tables.distances[distances];
                let (keys, queries) = (keys.map(vector), queries.map(vector));
                kernels::Relative::Disentangled { rows: &table.rows, reach: table.reach, keys, queries }
            }
        });
        Attention {
            offsets: batch.offsets(),
            heads: self.heads,
            key_value_heads: self.key_value_heads,
            head_size: width / self.heads,
            causal: self.causal,
            window: self.window,
            scale: self.scale,
            soft_cap: self.soft_cap,
            relative,
        }
    }
}
