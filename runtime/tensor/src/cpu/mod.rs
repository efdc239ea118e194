//! The CPU backend: a plan of fused steps over the kernels of `runtime-kernels`.
//!
//! Compiling folds what depends on no batch, fuses operators, packs weights, and gives each value a place in memory
//! that is shared by values that are never needed at the same time. Running goes through the steps; a batch no larger
//! than one before allocates nothing but its results.

mod arena;
mod compile;
mod step;

use std::sync::Mutex;

use runtime_graph::{Dim, Graph, Input};
use runtime_kernels::{self as kernels, Kept, Place, Team};

use crate::{Batch, Cache, Error, Matrix, Outputs, Plan, Precision, Weights};
use arena::{Arena, Home, Layout};
use step::{Constants, Step};

/// A compiled graph.
pub(crate) struct CpuPlan {
    steps: Vec<Step>,
    constants: Constants,
    layout: Layout,
    outputs: Vec<Output>,
    max_sequence: Option<u32>,
    /// Where a block of kept keys and values has those of each attention, or why they cannot be kept.
    places: Result<Vec<Place>, NotCausal>,
    /// Memory of runs that have ended, for those to come.
    arenas: Mutex<Vec<Arena>>,
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
    fn check(&self, batch: &Batch, arena: &Arena) -> Result<(), Error> {
        for (sequence, span) in batch.spans().enumerate() {
            let tokens = batch.past(sequence) + span.len();
            if let Some(limit) = self.max_sequence.filter(|limit| tokens > *limit as usize) {
                return Err(Error::TooLong { sequence, tokens, limit });
            }
        }
        let outside = |operator, ids: &[u32], count: usize| match ids.iter().find(|id| **id as usize >= count) {
            Some(index) => Err(Error::Index { operator, index: *index, count }),
            None => Ok(()),
        };
        for step in &self.steps {
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

    fn arena(&self) -> Arena {
        self.arenas.lock().ok().and_then(|mut arenas| arenas.pop()).unwrap_or_else(|| Arena::new(&self.layout))
    }
}

impl CpuPlan {
    fn run_steps(&self, batch: &Batch, kept: Option<&(Kept<'_>, &[Place])>) -> Result<Outputs, Error> {
        let mut arena = self.arena();
        arena.fit(&self.layout, batch);
        self.check(batch, &arena)?;
        Team::of_pool(|team| {
            for step in &self.steps {
                step.run(team, &self.constants, batch, kept, &mut arena);
            }
        });
        let results = self.outputs.iter().map(|output| (output.name.clone(), output.read(batch, &arena)));
        let results = Outputs::new(results.collect());
        if let Ok(mut arenas) = self.arenas.lock() {
            arenas.push(arena);
        }
        Ok(results)
    }
}

impl Plan for CpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        if !batch.pasts().is_empty() {
            return Err(Error::Pasts { with: batch.pasts().len(), sequences: batch.sequences() });
        }
        self.run_steps(batch, None)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.places {
            Ok(places) => Ok(Cache::new(places.clone(), blocks)),
            Err(NotCausal { operator, reason }) => Err(Error::NotCausal { operator, reason }),
        }
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        if batch.pasts().len() != batch.sequences() {
            return Err(Error::Pasts { with: batch.pasts().len(), sequences: batch.sequences() });
        }
        let pasts = batch.pasts().iter().map(|past| kernels::Past { tokens: past.tokens, blocks: &past.blocks });
        let kept = Kept::new(&mut cache.memory, pasts.collect(), batch.offsets());
        self.run_steps(batch, Some(&(kept, &cache.places)))
    }
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
        Dim::Tokens => batch.tokens(),
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
            Input::TokenIds => Self::Tokens,
            Input::TokenTypes => Self::Types,
            Input::Positions { first: 0, padding: None } => Self::Positions,
            Input::Positions { first, padding } => {
                let known = countings.iter().position(|counting| *counting == (first, padding));
                Self::Counted(known.unwrap_or_else(|| {
                    countings.push((first, padding));
                    countings.len() - 1
                }))
            }
        }
    }
}
