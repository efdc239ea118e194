//! A recording: kernels in one pass of one command buffer, submitted at once.

use std::sync::mpsc;

use crate::buffer::{f32_bytes, u32_bytes};
use crate::caches::PARAMETERS;
use crate::call::{Call, WIDTH};
use crate::gpu::locked;
use crate::{Buffer, Error, Gpu};

/// Calls whose parameters one buffer holds, where commands cannot.
const CALLS: u64 = 1 << 12;

/// Records kernels, which run in order once it is [finished](Self::finish). The first failure is reported there too; what
/// is recorded after it is left out. Dropping a recorder drops what it has recorded.
pub struct Recorder {
    pub(crate) gpu: Gpu,
    encoder: wgpu::CommandEncoder,
    pass: Option<wgpu::ComputePass<'static>>,
    failure: Option<Error>,
    /// What its kernels use: nobody else may write it before they are submitted.
    held: Vec<Buffer>,
    parameters: Vec<u8>,
    parameter_buffers: Vec<(wgpu::Buffer, wgpu::BindGroup)>,
}

/// A part of a buffer that is read back.
#[derive(Clone, Debug)]
pub struct Read {
    buffer: Buffer,
    first: usize,
    count: usize,
}

impl Read {
    /// `count` numbers of 4 bytes from number `first` on.
    ///
    /// # Panics
    /// Where the buffer has fewer.
    pub fn new(buffer: &Buffer, first: usize, count: usize) -> Self {
        buffer.holds(first + count);
        Self { buffer: buffer.clone(), first, count }
    }
}

/// What was read back.
#[derive(Clone, Debug, Default)]
pub struct Results {
    parts: Vec<Vec<u8>>,
}

impl Results {
    /// The numbers of a read.
    pub fn f32(&self, read: usize) -> Vec<f32> {
        self.parts[read].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The whole numbers of a read.
    pub fn u32(&self, read: usize) -> Vec<u32> {
        self.parts[read].as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }
}

impl Recorder {
    pub(crate) fn new(gpu: Gpu) -> Self {
        let encoder = gpu.shared.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Self {
            gpu,
            encoder,
            pass: None,
            failure: None,
            held: Vec::new(),
            parameters: Vec::new(),
            parameter_buffers: Vec::new(),
        }
    }

    /// The GPU that it records for.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Scratch with whole numbers, such as ids, for this recording.
    ///
    /// # Errors
    /// Where there is no memory for them, or the GPU is lost.
    pub fn upload_u32(&mut self, numbers: &[u32]) -> Result<Buffer, Error> {
        self.upload(&u32_bytes(numbers))
    }

    /// Scratch with numbers for this recording.
    ///
    /// # Errors
    /// As [`Self::upload_u32`].
    pub fn upload_f32(&mut self, numbers: &[f32]) -> Result<Buffer, Error> {
        self.upload(&f32_bytes(numbers))
    }

    fn upload(&mut self, bytes: &[u8]) -> Result<Buffer, Error> {
        let buffer = self.gpu.scratch(bytes.len())?;
        if !bytes.is_empty() {
            self.gpu.write(&buffer, 0, bytes)?;
        }
        // Not even if its caller drops it before it is used.
        self.held.push(buffer.clone());
        Ok(buffer)
    }

    /// Scratch that a kernel needs for itself; none where that fails, which is reported at the end.
    pub(crate) fn own_scratch(&mut self, bytes: usize) -> Option<Buffer> {
        match self.gpu.scratch(bytes) {
            Ok(buffer) => Some(buffer),
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }

    /// Records a call with so many workgroups; none are no call.
    pub(crate) fn call(&mut self, call: &Call<'_>, groups: usize) {
        if groups == 0 || self.failure.is_some() {
            return;
        }
        if let Err(error) = self.try_call(call, groups) {
            self.failure = Some(error);
        }
    }

    fn try_call(&mut self, call: &Call<'_>, groups: usize) -> Result<(), Error> {
        let shared = &self.gpu.shared;
        let here = |buffer: &Buffer| buffer.belongs_to(shared);
        assert!(call.bindings().iter().all(|binding| here(binding.buffer)), "buffers of this GPU");
        let pipeline = shared.pipeline(call)?;
        let group = shared.group(&pipeline, call.bindings())?;
        let encoder = &mut self.encoder;
        let pass = self.pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime());
        pass.set_pipeline(&pipeline.raw);
        pass.set_bind_group(0, &group, &[]);
        let bytes = call.parameters().iter().flat_map(|parameter| parameter.bits.to_le_bytes());
        if shared.capabilities.immediates {
            let mut data = [0; 128];
            let count = data.iter_mut().zip(bytes).map(|(to, byte)| *to = byte).count();
            pass.set_immediates(0, &data[..count]);
        } else {
            let offset = self.parameters.len() as u64 % (CALLS * PARAMETERS);
            if offset == 0 {
                let buffer = locked(&shared.parameters).pop();
                let buffer = match buffer {
                    Some(buffer) => buffer,
                    None => shared.guarded("parameters", CALLS * PARAMETERS, || {
                        shared.device.create_buffer(&wgpu::BufferDescriptor {
                            label: Some("parameters"),
                            size: CALLS * PARAMETERS,
                            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                            mapped_at_creation: false,
                        })
                    })?,
                };
                let group = shared.parameter_group(&buffer)?;
                self.parameter_buffers.push((buffer, group));
            }
            let end = self.parameters.len() + usize::try_from(PARAMETERS).unwrap_or(256);
            self.parameters.extend(bytes);
            self.parameters.resize(end, 0);
            let (_, group) = self.parameter_buffers.last().expect("there is one since the first call");
            pass.set_bind_group(1, group, &[u32::try_from(offset).unwrap_or(0)]);
        }
        let groups = u32::try_from(groups).expect("groups have 32 bits");
        pass.dispatch_workgroups(groups.min(WIDTH), groups.div_ceil(WIDTH), 1);
        self.held.extend(call.bindings().iter().map(|binding| binding.buffer.clone()));
        Ok(())
    }

    /// Submits what was recorded, waits for it, and returns what is read back. Without reads it does not wait.
    ///
    /// # Errors
    /// The first failure of the recording, or that the GPU is lost.
    pub fn finish(mut self, reads: &[Read]) -> Result<Results, Error> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.pass = None;
        let shared = std::sync::Arc::clone(&self.gpu.shared);
        let sizes: Vec<u64> = reads.iter().map(|read| 4 * read.count as u64).collect();
        let total: u64 = sizes.iter().sum();
        let read_back = if total == 0 { None } else { Some(self.read_back(total)?) };
        let mut encoder = self.encoder;
        let parameters = std::mem::take(&mut self.parameters);
        let submission = shared.guarded("recording", 0, || {
            let chunks = parameters.chunks(usize::try_from(CALLS * PARAMETERS).unwrap_or(usize::MAX));
            for ((buffer, _), bytes) in self.parameter_buffers.iter().zip(chunks) {
                shared.queue.write_buffer(buffer, 0, bytes);
            }
            if let Some(read_back) = &read_back {
                let mut at = 0;
                for (read, size) in reads.iter().zip(&sizes).filter(|(_, size)| **size > 0) {
                    encoder.copy_buffer_to_buffer(read.buffer.raw(), 4 * read.first as u64, read_back, at, *size);
                    at += size;
                }
            }
            shared.queue.submit([encoder.finish()])
        })?;
        locked(&shared.parameters).extend(self.parameter_buffers.drain(..).map(|(buffer, _)| buffer));
        let Some(read_back) = read_back else {
            return Ok(Results { parts: vec![Vec::new(); reads.len()] });
        };
        let (sender, receiver) = mpsc::channel();
        let bytes = shared.guarded("read back", total, || {
            read_back.map_async(wgpu::MapMode::Read, ..total, move |result| {
                let _ = sender.send(result);
            });
            let waited = shared.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
            waited.map_err(|error| error.to_string())?;
            receiver.recv().map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            let view = read_back.get_mapped_range(..total).map_err(|error| error.to_string())?;
            let mut rest = &view[..];
            let mut parts = Vec::with_capacity(sizes.len());
            for size in &sizes {
                let (part, after) = rest.split_at(usize::try_from(*size).map_err(|error| error.to_string())?);
                parts.push(part.to_vec());
                rest = after;
            }
            drop(view);
            read_back.unmap();
            Ok::<_, String>(parts)
        })?;
        let parts = bytes.map_err(|reason| shared.give_up(reason))?;
        locked(&shared.read_back).push(read_back);
        Ok(Results { parts })
    }

    /// A buffer that the processor can read.
    fn read_back(&self, bytes: u64) -> Result<wgpu::Buffer, Error> {
        let shared = &self.gpu.shared;
        let mut free = locked(&shared.read_back);
        if let Some(at) = free.iter().position(|buffer| buffer.size() >= bytes) {
            return Ok(free.swap_remove(at));
        }
        // A smaller one is of no use any more.
        free.pop();
        let size = bytes.next_power_of_two().max(1 << 12);
        shared.guarded("read back", size, || {
            shared.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read back"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }
}
