//! The CPU backend: a plan of fused steps over the kernels of `runtime-kernels`.
//!
//! Compiling folds what depends on no batch, fuses operators, packs weights, and gives each value a place in memory
//! that is shared by values that are never needed at the same time. Running goes through the steps; a batch no larger
//! than one before allocates nothing but its results.

mod adapter;
mod arena;
mod compile;
mod step;

use std::sync::{Arc, Mutex};

use runtime_graph::{Dim, Graph, Input};
use runtime_kernels::{self as kernels, Kept, Place, Team};

use crate::{Batch, Cache, Error, LowRanks, Matrix, Outputs, Plan, PlanAdapter, Precision, Weights};
use adapter::Held;
use arena::{Arena, Home, Layout};
use step::{Constants, Step};

pub(crate) use adapter::CpuAdapter;

/// A compiled graph.
pub(crate) struct CpuPlan {
    /// What is computed of texts.
    texts: Program,
    /// What is computed of their sources, where they have such.
    sources: Option<Program>,
    constants: Constants,
    /// What each product holds.
    products: Arc<Vec<Vec<Held>>>,
    outputs: Vec<Output>,
    max_sequence: Option<u32>,
    /// Where a block of kept keys and values has those of each attention, or why they cannot be kept.
    places: Result<Vec<Place>, NotCausal>,
    /// Where a block of a source has those of each attention to it.
    source_places: Vec<Place>,
}

/// Steps, and the memory in which they run.
struct Program {
    steps: Vec<Step>,
    layout: Layout,
    /// Memory of runs that have ended, for those to come.
    arenas: Mutex<Vec<Arena>>,
}

/// What is kept of the sequences of a run, and where in their blocks.
struct Keeping<'a> {
    kept: Kept<'a>,
    places: &'a [Place],
    source_places: &'a [Place],
}

/// An operator that keeps a plan from going on where a run ended, and why.
#[derive(Clone, Copy, Debug)]
struct NotCausal {
    operator: &'static str,
    reason: &'static str,
}

/// A result and where it is.
struct Output {
    name: String,
    from: Source,
}

enum Source {
    Computed(Home),
    Constant(Matrix),
}

impl CpuPlan {
    pub(crate) fn compile(graph: &Graph, weights: &dyn Weights, precision: Precision) -> Result<Self, Error> {
        compile::compile(graph, weights, precision)
    }

    /// Refuses a batch that cannot be run: sequences that are too long, indices outside of their tables.
    fn check(&self, program: &Program, batch: &Batch, arena: &Arena) -> Result<(), Error> {
        for (sequence, span) in batch.spans().enumerate() {
            let tokens = batch.past(sequence) + span.len();
            if let Some(limit) = self.max_sequence.filter(|limit| tokens > *limit as usize) {
                return Err(Error::TooLong { sequence, tokens, limit });
            }
        }
        let other =
            |adapter: &Option<PlanAdapter>| adapter.as_ref().is_some_and(|adapter| !adapter.cpu.is_of(&self.products));
        if let Some(sequence) = batch.adapters().iter().position(other) {
            return Err(Error::OtherAdapter { sequence });
        }
        let outside = |operator, ids: &[u32], count: usize| match ids.iter().find(|id| **id as usize >= count) {
            Some(index) => Err(Error::Index { operator, index: *index, count }),
            None => Ok(()),
        };
        for step in &program.steps {
            match step {
                Step::LookUp { parts, .. } => {
                    for part in parts {
                        outside("rows", arena.ids(batch, part.ids), self.constants.tables[part.table].rows)?;
                    }
                }
                Step::Select { .. } => outside("select-rows", batch.rows(), batch.tokens())?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes through the steps, and returns the memory with their results, to be [given back](Program::give_back).
    fn run_steps(&self, program: &Program, batch: &Batch, keeping: Option<&Keeping<'_>>) -> Result<Arena, Error> {
        let mut arena = program.arena();
        arena.fit(&program.layout, batch);
        self.check(program, batch, &arena)?;
        Team::of_pool(|team| {
            for step in &program.steps {
                step.run(team, &self.constants, batch, keeping, &mut arena);
            }
        });
        arena.adapting.clear();
        Ok(arena)
    }

    fn run_texts(&self, batch: &Batch, keeping: Option<&Keeping<'_>>) -> Result<Outputs, Error> {
        let arena = self.run_steps(&self.texts, batch, keeping)?;
        let results = self.outputs.iter().map(|output| (output.name.clone(), output.read(batch, &arena)));
        let results = Outputs::new(results.collect());
        self.texts.give_back(arena);
        Ok(results)
    }

    /// Refuses sequences without sources where the plan reads such, and sequences with sources elsewhere.
    fn check_sources(&self, batch: &Batch) -> Result<(), Error> {
        let sequences = batch.sequences();
        let with = batch.sources().iter().filter(|source| source.tokens > 0).count();
        match &self.sources {
            Some(_) if with < sequences => Err(Error::NeedsSources { with, sequences }),
            None if !batch.sources().is_empty() => Err(Error::NoSources),
            _ => Ok(()),
        }
    }
}

impl Program {
    fn new(steps: Vec<Step>, layout: Layout) -> Self {
        Self { steps, layout, arenas: Mutex::default() }
    }

    fn arena(&self) -> Arena {
        self.arenas.lock().ok().and_then(|mut arenas| arenas.pop()).unwrap_or_else(|| Arena::new(&self.layout))
    }

    fn give_back(&self, arena: Arena) {
        if let Ok(mut arenas) = self.arenas.lock() {
            arenas.push(arena);
        }
    }
}

impl Plan for CpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        if !batch.pasts().is_empty() {
            return Err(Error::Pasts { with: batch.pasts().len(), sequences: batch.sequences() });
        }
        if self.sources.is_some() {
            return Err(Error::NeedsSources { with: 0, sequences: batch.sequences() });
        }
        self.run_texts(batch, None)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.places {
            Ok(places) => Ok(Cache::new(places.clone(), self.source_places.clone(), blocks)),
            Err(NotCausal { operator, reason }) => Err(Error::NotCausal { operator, reason }),
        }
    }

    fn read_sources(&self, batch: &Batch, cache: &mut Cache) -> Result<(), Error> {
        let sources = self.sources.as_ref().filter(|_| batch.sources().is_empty()).ok_or(Error::NoSources)?;
        check_pasts(batch)?;
        if let Some((sequence, past)) = batch.pasts().iter().enumerate().find(|(_, past)| past.tokens > 0) {
            return Err(Error::SourceInParts { sequence, tokens: past.tokens });
        }
        let arena = self.run_steps(sources, batch, Some(&keeping(batch, cache)))?;
        sources.give_back(arena);
        Ok(())
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        check_pasts(batch)?;
        self.check_sources(batch)?;
        self.run_texts(batch, Some(&keeping(batch, cache)))
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error> {
        Ok(PlanAdapter::new(CpuAdapter::new(&self.products, low_ranks)?))
    }
}

fn check_pasts(batch: &Batch) -> Result<(), Error> {
    let (with, sequences) = (batch.pasts().len(), batch.sequences());
    if with == sequences { Ok(()) } else { Err(Error::Pasts { with, sequences }) }
}

fn keeping<'a>(batch: &'a Batch, cache: &'a mut Cache) -> Keeping<'a> {
    let all = |pasts: &'a [crate::batch::Past]| {
        pasts.iter().map(|past| kernels::Past { tokens: past.tokens, blocks: &past.blocks }).collect()
    };
    let kept = Kept::new(&mut cache.memory, all(batch.pasts()), all(batch.sources()), batch.offsets());
    Keeping { kept, places: &cache.places, source_places: &cache.source_places }
}

impl Output {
    fn read(&self, batch: &Batch, arena: &Arena) -> Matrix {
        match &self.from {
            Source::Constant(matrix) => matrix.clone(),
            Source::Computed(home) => {
                let columns = arena.columns(*home, batch);
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
        }
    }
}

/// How many rows a size of a batch stands for.
fn count(batch: &Batch, rows: Dim) -> usize {
    match rows {
        // Of sources and texts, which are computed apart, a batch holds one or the other.
        Dim::Tokens | Dim::Source => batch.tokens(),
        Dim::Sequences => batch.sequences(),
        Dim::Rows => batch.rows().len(),
        Dim::Fixed(rows) => rows as usize,
    }
}

/// Positions other than the batch's own.
type Counting = (u32, Option<u32>);

/// Where a plan has the indices of an input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    Tokens,
    Types,
    Positions,
    /// Positions that are counted in another way, by their number in [`Layout::countings`].
    Counted(usize),
}

impl Ids {
    fn new(input: Input, countings: &mut Vec<Counting>) -> Self {
        match input {
            Input::TokenIds | Input::SourceIds => Self::Tokens,
            Input::TokenTypes => Self::Types,
            Input::Positions { first: 0, padding: None } | Input::SourcePositions { first: 0, padding: None } => {
                Self::Positions
            }
            Input::Positions { first, padding } | Input::SourcePositions { first, padding } => {
                let known = countings.iter().position(|counting| *counting == (first, padding));
                Self::Counted(known.unwrap_or_else(|| {
                    countings.push((first, padding));
                    countings.len() - 1
                }))
            }
        }
    }
}
