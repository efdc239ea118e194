//! The GPU backend: the steps of the processor's plan over the kernels of `runtime-gpu`.
//!
//! Weights stay in the precision in which they are stored, and are uploaded once. A run records all of its steps, submits
//! them together, and reads back the results alone.

mod adapter;
mod blocks;
mod results;
mod run;

use std::sync::{Mutex, PoisonError};

use runtime_gpu::{Buffer, CacheType, Gpu, Stored, Weight};
use runtime_graph::{DType, Graph};
use runtime_kernels::BlockType;

use crate::cache::Memory;
use crate::lower::{Changes, Lowered, NotCausal, Output, Pack, Part, Products, Program, check_pasts, lower};
use crate::room;
use crate::stage::{Reading, Stage};
use crate::{
    Batch, Cache, Device, Error, LowRanks, Matrix, Outputs, Plan, PlanAdapter, Precision, Rows, StoredTensor, Weights,
};
use run::{Run, Tabled};

pub(crate) use blocks::GpuBlocks;

/// A compiled graph.
pub(crate) struct GpuPlan {
    gpu: Gpu,
    cache_type: CacheType,
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
        room::check(graph, weights, &Device::Gpu(gpu.clone()), precision)?;
        let lowered = lower(graph, weights, precision, Uploader { gpu: gpu.clone() })?;
        let vectors = lowered.constants.vectors.iter().map(|vector| gpu.upload_f32(vector));
        let vectors = vectors.collect::<Result<_, _>>()?;
        let cache_type = match precision {
            Precision::Bf16 => CacheType::F16,
            Precision::F32 | Precision::Int8 => CacheType::F32,
        };
        Ok(Self { gpu, cache_type, lowered, vectors, tabled: Default::default() })
    }

    /// Runs some steps on a batch, with what is kept.
    fn run_steps(
        &self,
        program: &Program,
        batch: &Batch,
        received: &[&Matrix],
        blocks: Option<&mut GpuBlocks>,
        outputs: &[Output],
    ) -> Result<Vec<Rows>, Error> {
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
        run.receive(&program.steps, received)?;
        for step in &program.steps {
            run.step(step)?;
        }
        let results = run.finish(outputs)?;
        if let Some(blocks) = blocks {
            blocks.copied();
        }
        tabled.lock().unwrap_or_else(PoisonError::into_inner).push(tables);
        Ok(results)
    }

    fn run_texts(&self, batch: &Batch, blocks: Option<&mut GpuBlocks>) -> Result<Outputs, Error> {
        let outputs = &self.lowered.outputs;
        let results = self.run_steps(&self.lowered.texts, batch, &[], blocks, outputs)?;
        let names = outputs.iter().map(|output| output.name.clone());
        Ok(Outputs::of_rows(names.zip(results).collect()))
    }
}

impl Plan for GpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        self.lowered.check_alone(batch)?;
        self.run_texts(batch, None)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, Error> {
        match &self.lowered.places {
            Ok(places) => {
                let source_places = self.lowered.source_places.clone();
                let states = self.lowered.states.clone();
                let memory =
                    GpuBlocks::new(self.gpu.clone(), self.cache_type, places.clone(), source_places, states, blocks);
                let most = memory.most();
                Ok(Cache::new(Memory::Gpu(memory), most))
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
        let changed = cache.begin(batch, !self.rewinds())?;
        let outputs = blocks(&mut cache.memory).and_then(|blocks| self.run_texts(batch, Some(blocks)));
        // A recording that fails is not submitted; behind that, nothing fails but a GPU that is lost.
        cache.end(&changed);
        outputs
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

impl Stage for GpuPlan {
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

fn blocks(memory: &mut Memory) -> Result<&mut GpuBlocks, Error> {
    match memory {
        Memory::Gpu(blocks) => Ok(blocks),
        _ => Err(Error::OtherCache),
    }
}
