//! One model on several devices: its graph is cut between layers, and the parts are computed one after the other.
//!
//! What a part needs of those before it goes through the memory of the processor, as matrices. Kept keys and values lie with
//! the layers that they are of, under the same number of a block in every part, so that whoever holds a block holds it in
//! all.

mod cut;
mod distribute;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use runtime_graph::{Graph, Op};

use crate::cache::Memory;
use crate::lower::{Products, check_alone, check_pasts, check_sources, check_whole_sources};
use crate::plan::compile_part;
use crate::stage::{Reading, Stage};
use crate::{
    Batch, Cache, Device, Error, LowRanks, Matrix, Outputs, Plan, PlanAdapter, Precision, Rows, Weights, room,
};
use distribute::distribute;

use cut::{Given, Part, Passing, Passings, cut};

pub use cut::layers;

/// A device, and the layers of a model that it has.
#[derive(Clone, Debug)]
pub struct Share {
    /// The device.
    pub device: Device,
    /// Its layers, counted from 0 in the order in which they are computed.
    pub layers: Range<usize>,
}

/// Compiles `graph` with its layers on these devices in turn.
pub(crate) fn compile_in_turn(
    graph: &Graph,
    weights: &dyn Weights,
    devices: &[Device],
    precision: Precision,
) -> Result<Arc<dyn Plan>, Error> {
    compile(graph, weights, distribute(graph, weights, devices, precision)?, precision)
}

/// Compiles `graph` with its layers as they are shared, which must be all of them in their order. What comes before the first
/// layer is with it, and the head with the last.
pub(crate) fn compile_shares(
    graph: &Graph,
    weights: &dyn Weights,
    shares: Vec<Share>,
    precision: Precision,
) -> Result<Arc<dyn Plan>, Error> {
    let has = layers(graph);
    let mut next = 0;
    for Share { layers, .. } in &shares {
        if layers.start != next || layers.is_empty() || layers.end > has {
            return Err(Error::Layers { from: layers.start, to: layers.end, has });
        }
        next = layers.end;
    }
    if next != has || has == 0 {
        return Err(Error::Layers { from: 0, to: next, has });
    }
    compile(graph, weights, shares, precision)
}

fn compile(
    graph: &Graph,
    weights: &dyn Weights,
    shares: Vec<Share>,
    precision: Precision,
) -> Result<Arc<dyn Plan>, Error> {
    let used: Vec<&Share> = shares.iter().filter(|share| !share.layers.is_empty()).collect();
    let parts = cut(graph, &used.iter().map(|share| share.layers.clone()).collect::<Vec<_>>());
    // All of them first: to upload takes long.
    for (part, share) in parts.iter().zip(&used) {
        room::check(&part.graph, weights, &share.device, precision)?;
    }
    let stages = parts.into_iter().zip(used).map(|(part, share)| {
        let Part { graph, passings } = part;
        Ok(Placed { plan: compile_part(&graph, weights, share.device.clone(), precision)?, passings })
    });
    let stages = stages.collect::<Result<_, Error>>()?;
    Ok(Arc::new(PlacedPlan {
        stages,
        shares,
        values: graph.nodes.len(),
        outputs: graph.outputs.iter().map(|output| output.name.clone()).collect(),
        reads_sources: graph.nodes.iter().any(|node| matches!(node.op, Op::CrossAttention(_))),
        products: Products::default(),
    }))
}

/// The parts of a graph as plans.
struct PlacedPlan {
    stages: Vec<Placed>,
    /// What each device has, if only nothing.
    shares: Vec<Share>,
    /// Nodes of the whole graph.
    values: usize,
    /// The names of its outputs.
    outputs: Vec<String>,
    reads_sources: bool,
    /// What tells its adapters from those of others.
    products: Products,
}

struct Placed {
    plan: Arc<dyn Stage>,
    passings: Passings,
}

impl PlacedPlan {
    /// Runs the parts in their order; `done` says how many have come to their end.
    fn run_stages(
        &self,
        reading: Reading,
        batch: &Batch,
        mut memories: Option<&mut [Memory]>,
        done: &mut usize,
    ) -> Result<Outputs, Error> {
        let other =
            |adapter: &Option<PlanAdapter>| adapter.as_ref().is_some_and(|adapter| !adapter.is_of(&self.products));
        if let Some(sequence) = batch.adapters().iter().position(other) {
            return Err(Error::OtherAdapter { sequence });
        }
        let mut values: Vec<Option<Matrix>> = vec![None; self.values];
        let mut outputs: Vec<Option<Rows>> = vec![None; self.outputs.len()];
        for (number, stage) in self.stages.iter().enumerate() {
            let Passing { runs, receives, gives, gives_asked } = stage.passings.of(reading);
            if !runs {
                continue;
            }
            let received = receives.iter().map(|value| values[*value].as_ref().expect("an earlier part gives it"));
            let memory = memories.as_deref_mut().map(|parts| &mut parts[number]);
            let batch = for_stage(batch, number, *gives_asked);
            let given = stage.plan.run_part(reading, &batch, &received.collect::<Vec<_>>(), memory)?;
            *done += 1;
            for (what, rows) in gives.iter().zip(given) {
                match what {
                    Given::Value(value) => values[*value] = Some(rows.whole),
                    Given::Output(output) => outputs[*output] = Some(rows),
                }
            }
        }
        let named = self.outputs.iter().zip(outputs);
        Ok(Outputs::of_rows(named.filter_map(|(name, rows)| Some((name.clone(), rows?))).collect()))
    }

    /// The memory of each part.
    fn memories<'a>(&self, cache: &'a mut Cache) -> Result<&'a mut [Memory], Error> {
        match &mut cache.memory {
            Memory::Placed(parts) if parts.len() == self.stages.len() => Ok(parts),
            _ => Err(Error::OtherCache),
        }
    }
}

/// The batch with what its adapters are in a part, and with all of each row where others take such.
fn for_stage(batch: &Batch, number: usize, gives_asked: bool) -> Cow<'_, Batch> {
    let mut own = Cow::Borrowed(batch);
    if !batch.adapters().is_empty() {
        let of_stage = |adapter: &Option<PlanAdapter>| adapter.as_ref()?.part(number).cloned();
        own = Cow::Owned(batch.with_adapters(batch.adapters().iter().map(of_stage).collect()));
    }
    if gives_asked && !own.wants_rows() {
        own = Cow::Owned(own.with_whole_rows());
    }
    own
}

impl Plan for PlacedPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        check_alone(self.reads_sources, batch)?;
        self.run_stages(Reading::Texts, batch, None, &mut 0)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        let parts = self.stages.iter().map(|stage| stage.plan.cache(blocks));
        Ok(Cache::of_parts(parts.collect::<Result<_, _>>()?))
    }

    fn read_sources(&self, batch: &Batch, cache: &mut Cache) -> Result<(), Error> {
        check_whole_sources(self.reads_sources, batch)?;
        self.run_stages(Reading::Sources, batch, Some(self.memories(cache)?), &mut 0).map(drop)
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        check_pasts(batch)?;
        check_sources(self.reads_sources, batch)?;
        let changed = cache.begin(batch, !self.rewinds())?;
        let mut done = 0;
        let outputs =
            self.memories(cache).and_then(|memories| self.run_stages(Reading::Texts, batch, Some(memories), &mut done));
        // A part that fails has changed nothing, but those before it have.
        if done == 0 || outputs.is_ok() {
            cache.end(&changed);
        }
        outputs
    }

    fn rewinds(&self) -> bool {
        self.stages.iter().all(|stage| stage.plan.rewinds())
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error> {
        let has = |stage: &Placed, name: &str| {
            let mut held = stage.plan.products().iter().flatten();
            held.any(|held| held.weight.as_deref() == Some(name))
        };
        if let Some(name) = low_ranks.keys().find(|name| !self.stages.iter().any(|stage| has(stage, name))) {
            return Err(Error::NoProduct { name: name.clone() });
        }
        let of_stage = |stage: &Placed| {
            let own = low_ranks.iter().filter(|(name, _)| has(stage, name));
            stage.plan.adapter(&own.map(|(name, low_rank)| (name.clone(), low_rank.clone())).collect())
        };
        let parts: Vec<PlanAdapter> = self.stages.iter().map(of_stage).collect::<Result<_, _>>()?;
        Ok(PlanAdapter::of_parts(&self.products, parts))
    }

    fn is_usable(&self) -> bool {
        self.stages.iter().all(|stage| stage.plan.is_usable())
    }

    fn shares(&self) -> Vec<Share> {
        self.shares.clone()
    }
}
