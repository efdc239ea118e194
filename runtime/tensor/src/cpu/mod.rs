//! The CPU backend: steps over the kernels of `runtime-kernels`.
//!
//! Weights are packed in the order in which their product reads them. Running goes through the steps; a batch no larger
//! than one before allocates nothing but its results.

mod adapter;
mod arena;
mod blocks;
mod run;
pub(crate) mod shortlist;

use std::sync::Mutex;

use runtime_graph::{Dim, Graph};
use runtime_kernels::{self as kernels, BlockType, Kept, Packed, Place, Team};

use crate::cache::Memory;
use crate::lower::{
    Changes, Lowered, NotCausal, Output, Pack, Part, Products, Program, Source, Step, check_pasts, count, lower,
};
use crate::stage::{Reading, Stage};
use crate::{
    Batch, Cache, Error, LowRanks, Matrix, Outputs, Plan, PlanAdapter, Precision, Rows, StoredTensor, Weights,
};
use arena::Arena;

pub(crate) use blocks::CpuBlocks;

/// A compiled graph.
pub(crate) struct CpuPlan {
    lowered: Lowered<Packed>,
    /// Memory of runs that have ended, for those to come: of texts, and of sources.
    arenas: [Mutex<Vec<Arena>>; 2],
}

/// What is kept of the sequences of a run, and where in their blocks.
struct Keeping<'a> {
    kept: Kept<'a>,
    places: &'a [Place],
    source_places: &'a [Place],
    /// Where blocks have the state of each operator.
    states: &'a [usize],
}

/// Packs weights for the kernels of this processor.
struct Packer;

impl Pack for Packer {
    type Packed = Packed;
    type Vector = Vec<f32>;

    // Those in half precision stay so, which halves their memory.
    const TABLES: bool = false;
    const STACKS: bool = false;

    fn numbers(&self, precision: Precision, inputs: usize, parts: &[Part<'_>]) -> Result<Packed, Error> {
        let rows = |part: &Part<'_>| match part {
            Part::Computed(numbers) => numbers.len() / inputs.max(1),
            Part::Stored(dtype, bytes) => bytes.len() / (inputs * dtype.size()).max(1),
        };
        let mut packed = Packed::zeros(precision, parts.iter().map(rows).sum(), inputs);
        let mut first = 0;
        for part in parts {
            match part {
                Part::Computed(numbers) => packed.set(first, numbers),
                Part::Stored(dtype, bytes) => {
                    let shape = vec![rows(part), inputs];
                    packed.set(first, &StoredTensor { dtype: (*dtype).into(), shape, bytes: (*bytes).into() }.to_f32());
                }
            }
            first += rows(part);
        }
        Ok(packed)
    }

    fn vector(&self, numbers: Vec<f32>) -> Result<Vec<f32>, Error> {
        Ok(numbers)
    }

    fn blocks(&self, kind: BlockType, inputs: usize, parts: &[&[u8]]) -> Result<Packed, Error> {
        Ok(Packed::of_blocks(kind, inputs, parts))
    }
}

impl CpuPlan {
    pub(crate) fn compile(graph: &Graph, weights: &dyn Weights, precision: Precision) -> Result<Self, Error> {
        Ok(Self { lowered: lower(graph, weights, precision, Packer)?, arenas: Default::default() })
    }

    /// Goes through the steps; what is made of the memory with their results is returned.
    fn run_steps<T>(
        &self,
        program: &Program,
        batch: &Batch,
        received: &[&Matrix],
        keeping: Option<&Keeping<'_>>,
        read: impl FnOnce(&Arena) -> T,
    ) -> Result<T, Error> {
        let arenas = &self.arenas[usize::from(!std::ptr::eq(program, &self.lowered.texts))];
        let known = arenas.lock().ok().and_then(|mut arenas| arenas.pop());
        let mut arena = known.unwrap_or_else(|| Arena::new(&program.layout));
        arena.fit(&program.layout, batch);
        self.lowered.check(program, batch, &arena.tables)?;
        for step in &program.steps {
            let Step::Receive { number, to } = step else { break };
            arena.slots[to.slot][..received[*number].data.len()].copy_from_slice(&received[*number].data);
        }
        Team::of_pool(|team| {
            for step in &program.steps {
                step.run(team, &self.lowered.constants, batch, keeping, &mut arena);
            }
        });
        arena.adapting.clear();
        let results = read(&arena);
        if let Ok(mut arenas) = arenas.lock() {
            arenas.push(arena);
        }
        Ok(results)
    }

    fn run_texts(&self, batch: &Batch, keeping: Option<&Keeping<'_>>) -> Result<Outputs, Error> {
        let read = |arena: &Arena| {
            let results = self.lowered.outputs.iter().map(|output| (output.name.clone(), read(output, batch, arena)));
            Outputs::of_rows(results.collect())
        };
        self.run_steps(&self.lowered.texts, batch, &[], keeping, read)
    }
}

impl Plan for CpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        self.lowered.check_alone(batch)?;
        self.run_texts(batch, None)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.lowered.places {
            Ok(places) => {
                let memory = CpuBlocks::new(places.clone(), self.lowered.source_places.clone(), &self.lowered.states);
                Ok(Cache::new(Memory::Cpu(memory), blocks))
            }
            Err(NotCausal { operator, reason }) => Err(Error::NotCausal { operator, reason }),
        }
    }

    fn read_sources(&self, batch: &Batch, cache: &mut Cache) -> Result<(), Error> {
        let sources = self.lowered.sources_of(batch)?;
        self.run_steps(sources, batch, &[], Some(&keeping(batch, &mut cache.memory)?), |_| ())
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        check_pasts(batch)?;
        self.lowered.check_sources(batch)?;
        let changed = cache.begin(batch, !self.rewinds())?;
        let outputs = keeping(batch, &mut cache.memory).and_then(|keeping| self.run_texts(batch, Some(&keeping)));
        // What is refused is so before the first step.
        cache.end(&changed);
        outputs
    }

    fn rewinds(&self) -> bool {
        self.lowered.states.is_empty()
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error> {
        let products = &self.lowered.products;
        Ok(PlanAdapter::new(products, Changes::new(&Packer, products, low_ranks)?))
    }
}

impl Stage for CpuPlan {
    fn run_part(
        &self,
        reading: Reading,
        batch: &Batch,
        received: &[&Matrix],
        memory: Option<&mut Memory>,
    ) -> Result<Vec<Rows>, Error> {
        let keeping = memory.map(|memory| keeping(batch, memory)).transpose()?;
        let (program, outputs) = self.lowered.part(reading)?;
        let all = |arena: &Arena| outputs.iter().map(|output| read(output, batch, arena)).collect();
        self.run_steps(program, batch, received, keeping.as_ref(), all)
    }

    fn products(&self) -> &Products {
        &self.lowered.products
    }
}

fn keeping<'a>(batch: &'a Batch, memory: &'a mut Memory) -> Result<Keeping<'a>, Error> {
    let Memory::Cpu(blocks) = memory else { return Err(Error::OtherCache) };
    let all = |pasts: &'a [crate::batch::Past]| {
        pasts.iter().map(|past| kernels::Past { tokens: past.tokens, blocks: &past.blocks }).collect()
    };
    let kept = Kept::new(&mut blocks.memory, all(batch.pasts()), all(batch.sources()), batch.offsets());
    Ok(Keeping { kept, places: &blocks.places, source_places: &blocks.source_places, states: &blocks.states })
}

fn read(output: &Output, batch: &Batch, arena: &Arena) -> Rows {
    let whole = match &output.from {
        Source::Constant(matrix) => matrix.clone(),
        Source::Computed(home) => {
            let columns = arena.columns(*home, batch);
            if home.rows == Dim::Rows && home.columns == home.width && !batch.wants_rows() {
                return shortlist::read(columns.x, home.width, batch);
            }
            let rows = count(batch, home.rows);
            let mut data = Vec::with_capacity(rows * home.columns);
            if home.columns == home.width {
                data.extend_from_slice(columns.x);
            } else {
                let all = columns.x.chunks_exact(home.width);
                all.for_each(|row| data.extend_from_slice(&row[home.first..home.first + home.columns]));
            }
            Matrix { rows, width: home.columns, data }
        }
    };
    Rows { whole, shortlists: Vec::new() }
}
