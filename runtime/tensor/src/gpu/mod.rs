//! The GPU backend: the steps of the processor's plan over the kernels of `runtime-gpu`.
//!
//! Weights stay in the precision in which they are stored, and are uploaded once. A run records all of its steps, submits
//! them together, and reads back the results alone.

mod adapter;
mod blocks;
mod results;
mod room;
mod run;

use std::sync::{Mutex, PoisonError};

use runtime_gpu::{Buffer, Gpu, Stored, Weight};
use runtime_graph::{DType, Graph};
use runtime_kernels::BlockType;

use crate::cache::Memory;
use crate::lower::{Changes, Lowered, NotCausal, Pack, Part, Program, lower};
use crate::{Batch, Cache, Error, LowRanks, Outputs, Plan, PlanAdapter, Precision, StoredTensor, Weights};
use run::{Run, Tabled};

pub(crate) use blocks::GpuBlocks;

/// A compiled graph.
pub(crate) struct GpuPlan {
    gpu: Gpu,
    lowered: Lowered<Weight>,
    /// The vectors of `lowered`.
    vectors: Vec<Buffer>,
    /// Tables of runs that have ended, for those to come: of texts, and of sources.
    tabled: [Mutex<Vec<Tabled>>; 2],
}

/// Uploads weights.
struct Uploader {
    gpu: Gpu,
}

impl Pack for Uploader {
    type Packed = Weight;
    type Vector = Buffer;

    // A table that is also the weight of a product is uploaded once.
    const TABLES: bool = true;
    const STACKS: bool = true;

    fn numbers(&self, precision: Precision, inputs: usize, parts: &[Part<'_>]) -> Result<Weight, Error> {
        let precision = match precision {
            Precision::F32 => runtime_gpu::Precision::AsStored,
            Precision::Bf16 => runtime_gpu::Precision::Half,
            Precision::Int8 => return Err(Error::NotOnGpu { what: "int8" }),
        };
        let stored = |part: &Part<'_>| if let Part::Stored(dtype, _) = part { Some(*dtype) } else { None };
        let first = parts.first().and_then(stored);
        if let Some(dtype) = first.filter(|_| parts.iter().all(|part| stored(part) == first)) {
            let pieces = parts.iter().map(|part| if let Part::Stored(_, bytes) = part { bytes } else { &[][..] });
            let stored = match dtype {
                DType::F32 => Stored::F32,
                DType::F16 => Stored::F16,
                DType::BF16 => Stored::Bf16,
            };
            return Ok(Weight::new(&self.gpu, stored, inputs, &pieces.collect::<Vec<_>>(), precision)?);
        }
        let numbers = |part: &Part<'_>| match part {
            Part::Computed(numbers) => numbers.to_vec(),
            Part::Stored(dtype, bytes) => {
                let shape = vec![bytes.len() / dtype.size()];
                StoredTensor { dtype: (*dtype).into(), shape, bytes: (*bytes).into() }.to_f32()
            }
        };
        let bytes = |part: &Part<'_>| numbers(part).into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let pieces: Vec<Vec<u8>> = parts.iter().map(bytes).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        Ok(Weight::new(&self.gpu, Stored::F32, inputs, &pieces, precision)?)
    }

    fn vector(&self, numbers: Vec<f32>) -> Result<Buffer, Error> {
        Ok(self.gpu.upload_f32(&numbers)?)
    }

    fn blocks(&self, kind: BlockType, inputs: usize, parts: &[&[u8]]) -> Result<Weight, Error> {
        let precision = runtime_gpu::Precision::AsStored;
        Ok(Weight::new(&self.gpu, Stored::Blocks(kind), inputs, parts, precision)?)
    }
}

impl GpuPlan {
    pub(crate) fn compile(graph: &Graph, weights: &dyn Weights, gpu: Gpu, precision: Precision) -> Result<Self, Error> {
        // What nobody holds any more is no reason to refuse.
        gpu.trim();
        room::check(graph, weights, &gpu, precision)?;
        let lowered = lower(graph, weights, precision, Uploader { gpu: gpu.clone() })?;
        let vectors = lowered.constants.vectors.iter().map(|vector| gpu.upload_f32(vector));
        let vectors = vectors.collect::<Result<_, _>>()?;
        Ok(Self { gpu, lowered, vectors, tabled: Default::default() })
    }

    /// Runs some steps on a batch, with what is kept.
    fn run_steps(
        &self,
        program: &Program,
        batch: &Batch,
        blocks: Option<&mut GpuBlocks>,
        results: bool,
    ) -> Result<Outputs, Error> {
        let tabled = &self.tabled[usize::from(!std::ptr::eq(program, &self.lowered.texts))];
        let known = tabled.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tables = known.unwrap_or_else(|| Tabled::new(&program.layout));
        tables.fit(&program.layout, batch);
        self.lowered.check(program, batch, tables.host())?;
        let mut recorder = self.gpu.record();
        let mut blocks = blocks;
        if let Some(blocks) = &mut blocks {
            blocks.prepare(&mut recorder)?;
        }
        let mut run = Run::new(self, program, batch, blocks.as_deref(), &mut tables, recorder)?;
        for step in &program.steps {
            run.step(step)?;
        }
        let outputs = if results { &self.lowered.outputs[..] } else { &[] };
        let results = run.finish(outputs)?;
        if let Some(blocks) = blocks {
            blocks.copied();
        }
        tabled.lock().unwrap_or_else(PoisonError::into_inner).push(tables);
        Ok(results)
    }
}

impl Plan for GpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        self.lowered.check_alone(batch)?;
        self.run_steps(&self.lowered.texts, batch, None, true)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.lowered.places {
            Ok(places) => {
                let source_places = self.lowered.source_places.clone();
                let states = self.lowered.states.clone();
                let memory = GpuBlocks::new(self.gpu.clone(), places.clone(), source_places, states, blocks);
                let most = memory.most();
                Ok(Cache::new(Memory::Gpu(memory), most))
            }
            Err(NotCausal { operator, reason }) => Err(Error::NotCausal { operator, reason }),
        }
    }

    fn read_sources(&self, batch: &Batch, cache: &mut Cache) -> Result<(), Error> {
        let sources = self.lowered.sources_of(batch)?;
        self.run_steps(sources, batch, Some(blocks(cache)?), false).map(drop)
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, Error> {
        Lowered::<Weight>::check_pasts(batch)?;
        self.lowered.check_sources(batch)?;
        self.lowered.check_states(batch)?;
        self.run_steps(&self.lowered.texts, batch, Some(blocks(cache)?), true)
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, Error> {
        let (uploader, products) = (Uploader { gpu: self.gpu.clone() }, &self.lowered.products);
        Ok(PlanAdapter::new(products, Changes::new(&uploader, products, low_ranks)?))
    }

    fn rewinds(&self) -> bool {
        self.lowered.states.is_empty()
    }

    fn is_usable(&self) -> bool {
        self.gpu.alive().is_ok()
    }
}

fn blocks(cache: &mut Cache) -> Result<&mut GpuBlocks, Error> {
    match &mut cache.memory {
        Memory::Gpu(blocks) => Ok(blocks),
        Memory::Cpu(_) => Err(Error::OtherCache),
    }
}
