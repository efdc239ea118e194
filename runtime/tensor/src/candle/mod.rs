//! The backend over candle's tensors: the steps of the processor's plan as tensor operations, on a GPU of NVIDIA.
//!
//! The code is the same on each device of candle, so that all of it is tested on candle's processor. What decides the form
//! of a step is said beside it: which operations have kernels for CUDA, and which of their operands must be contiguous.

mod adapter;
mod attention;
mod blocks;
mod device;
mod pool;
mod run;
mod sight;
mod tabled;
mod weight;

use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;
use runtime_graph::Graph;

use crate::cache::Memory;
use crate::lower::{Changes, Lowered, NotCausal, Output, Products, Program, check_pasts, lower};
use crate::room;
use crate::stage::{Reading, Stage};
use crate::{Batch, Cache, Device, Error, LowRanks, Matrix, Outputs, Plan, PlanAdapter, Precision, Rows, Weights};
use run::Run;
use tabled::Tabled;
use weight::{Uploader, Weight, upload};

pub(crate) use blocks::CandleBlocks;
pub use device::Candle;
#[cfg(feature = "cuda")]
pub(crate) use device::driver;

/// A compiled graph.
pub(crate) struct CandlePlan {
    device: Candle,
    lowered: Lowered<Weight>,
    /// The vectors of `lowered`.
    vectors: Vec<Tensor>,
    /// Tables of runs that have ended, for those to come: of texts, and of sources.
    tabled: [Mutex<Vec<Tabled>>; 2],
}

impl CandlePlan {
    pub(crate) fn compile(
        graph: &Graph,
        weights: &dyn Weights,
        device: Candle,
        precision: Precision,
    ) -> Result<Self, Error> {
        room::check(graph, weights, &Device::Candle(device.clone()), precision)?;
        let lowered = lower(graph, weights, precision, Uploader { device: device.clone() })?;
        // Before the first request, and not at it.
        if lowered.texts.steps.iter().any(run::has_state) {
            return Err(Error::NotOnGpu { what: run::STATES });
        }
        let vectors = lowered.constants.vectors.iter().map(|vector| upload(vector, &device.raw));
        let vectors = vectors.collect::<Result<_, _>>()?;
        Ok(Self { device, lowered, vectors, tabled: Default::default() })
    }

    /// Runs some steps on a batch, with what is kept.
    fn run_steps(
        &self,
        program: &Program,
        batch: &Batch,
        received: &[&Matrix],
        blocks: Option<&mut CandleBlocks>,
        outputs: &[Output],
    ) -> Result<Vec<Rows>, Error> {
        let tabled = &self.tabled[usize::from(!std::ptr::eq(program, &self.lowered.texts))];
        let known = tabled.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tables = known.unwrap_or_else(|| Tabled::new(&program.layout));
        tables.fit(&program.layout, batch);
        self.lowered.check(program, batch, tables.host())?;
        let blocks = match blocks {
            Some(blocks) => {
                blocks.prepare()?;
                Some(&*blocks)
            }
            None => None,
        };
        let mut run = Run::new(self, program, batch, blocks, &mut tables);
        run.receive(&program.steps, received)?;
        for step in &program.steps {
            run.step(step)?;
        }
        let results = run.finish(outputs)?;
        tabled.lock().unwrap_or_else(PoisonError::into_inner).push(tables);
        Ok(results)
    }

    fn run_texts(&self, batch: &Batch, blocks: Option<&mut CandleBlocks>) -> Result<Outputs, Error> {
        let outputs = &self.lowered.outputs;
        let results = self.run_steps(&self.lowered.texts, batch, &[], blocks, outputs)?;
        let names = outputs.iter().map(|output| output.name.clone());
        Ok(Outputs::of_rows(names.zip(results).collect()))
    }
}

impl Plan for CandlePlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        self.lowered.check_alone(batch)?;
        self.run_texts(batch, None)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.lowered.places {
            Ok(places) => {
                let memory = CandleBlocks::new(self.device.clone(), places, &self.lowered.source_places, blocks);
                let most = memory.most()?;
                Ok(Cache::new(Memory::Candle(memory), most))
            }
            Err(NotCausal { operator, reason }) => Err(Error::NotCausal { operator, reason }),
        }
    }

    fn read_sources(&self, batch: &Batch, cache: &mut Cache) -> Result<(), Error> {
        let sources = self.lowered.sources_of(batch)?;
        self.run_steps(sources, batch, &[], Some(blocks(&mut cache.memory)?), &[]).map(drop)
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        check_pasts(batch)?;
        self.lowered.check_sources(batch)?;
        self.run_texts(batch, Some(blocks(&mut cache.memory)?))
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error> {
        let (uploader, products) = (Uploader { device: self.device.clone() }, &self.lowered.products);
        Ok(PlanAdapter::new(products, Changes::new(&uploader, products, low_ranks)?))
    }

    fn is_usable(&self) -> bool {
        self.device.is_usable()
    }
}

impl Stage for CandlePlan {
    fn run_part(
        &self,
        reading: Reading,
        batch: &Batch,
        received: &[&Matrix],
        memory: Option<&mut Memory>,
    ) -> Result<Vec<Rows>, Error> {
        let (program, outputs) = self.lowered.part(reading)?;
        self.run_steps(program, batch, received, memory.map(blocks).transpose()?, outputs)
    }

    fn products(&self) -> &Products {
        &self.lowered.products
    }
}

fn blocks(memory: &mut Memory) -> Result<&mut CandleBlocks, Error> {
    match memory {
        Memory::Candle(blocks) => Ok(blocks),
        _ => Err(Error::OtherCache),
    }
}
