//! Memory of a GPU.
//!
//! A buffer is uploaded once and kept, or scratch. Scratch comes in sizes of a few classes; one that nobody holds any more
//! is given to whoever asks next, so that a run like one before allocates nothing. Commands are run in the order in which
//! they were submitted, and a recording holds its buffers until it is, so that nobody can see a buffer change under it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::gpu::{Shared, locked};
use crate::{Error, Gpu};

/// The smallest scratch in bytes.
const SMALLEST: u64 = 1 << 10;

/// Bytes that are copied to the GPU at a time: as much again is taken for the copy meanwhile.
const CHUNK: usize = 64 << 20;

/// Memory of a GPU. A copy is the same memory.
#[derive(Clone)]
pub struct Buffer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    raw: wgpu::Buffer,
    /// Tells it from all others of the GPU.
    id: u64,
    scratch: bool,
}

/// Some columns of a row-major matrix in single precision.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The whole matrix.
    pub buffer: &'a Buffer,
    /// Numbers in a row of it.
    pub stride: usize,
    /// The first of the columns.
    pub first: usize,
}

impl Buffer {
    /// How many bytes it has, which may be more than were asked for.
    pub fn bytes(&self) -> u64 {
        self.inner.raw.size()
    }

    /// All of it, as rows of `width` numbers.
    pub fn columns(&self, width: usize) -> Columns<'_> {
        Columns { buffer: self, stride: width, first: 0 }
    }

    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        &self.inner.raw
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    /// Fails where there is less room than for as many numbers of 4 bytes.
    pub(crate) fn holds(&self, numbers: usize) {
        assert!(self.bytes() >= 4 * numbers as u64, "a buffer of {} bytes holds {numbers} numbers", self.bytes());
    }

    /// Whether it is of this GPU.
    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.inner.shared, shared)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("id", &self.inner.id).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.scratch {
            let mut pool = locked(&self.shared.pool);
            pool.entry(self.raw.size()).or_default().push((self.raw.clone(), self.id));
        } else {
            locked(&self.shared.caches).forget(self.id);
            self.shared.held.fetch_sub(self.raw.size(), Ordering::Relaxed);
        }
    }
}

impl Gpu {
    /// A buffer of its own with `bytes`, filled up to whole numbers of 16 bytes.
    ///
    /// # Errors
    /// Where that is more than a buffer may have, or than there is memory for.
    pub fn upload(&self, bytes: &[u8]) -> Result<Buffer, Error> {
        let buffer = self.empty(bytes.len())?;
        self.write(&buffer, 0, bytes)?;
        Ok(buffer)
    }

    /// A buffer of its own with zeros.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn empty(&self, bytes: usize) -> Result<Buffer, Error> {
        let size = (bytes as u64).next_multiple_of(16).max(16);
        self.check_size(size)?;
        let raw = match self.allocate(size) {
            Err(Error::OutOfMemory { .. }) => {
                self.trim();
                self.allocate(size)?
            }
            other => other?,
        };
        Ok(self.buffer(raw, None))
    }

    /// A buffer of single precision numbers of its own.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn upload_f32(&self, numbers: &[f32]) -> Result<Buffer, Error> {
        self.upload(&f32_bytes(numbers))
    }

    /// Writes over a part of a buffer, before what is submitted from now on.
    ///
    /// # Errors
    /// Where the GPU is lost, or there is no memory for the copy.
    pub fn write(&self, buffer: &Buffer, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        assert!(buffer.bytes() >= (offset + bytes.len()) as u64, "room for what is written");
        assert!(offset.is_multiple_of(4), "whole numbers are written");
        let shared = &self.shared;
        for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
            let at = (offset + index * CHUNK) as u64;
            shared.guarded("write", chunk.len() as u64, || {
                if chunk.len().is_multiple_of(4) {
                    shared.queue.write_buffer(buffer.raw(), at, chunk);
                } else {
                    let mut padded = chunk.to_vec();
                    padded.resize(chunk.len().next_multiple_of(4), 0);
                    shared.queue.write_buffer(buffer.raw(), at, &padded);
                }
                if bytes.len() > CHUNK {
                    // The copy is given back only once it has been made.
                    shared.queue.submit([]);
                    let _ = shared.device.poll(wgpu::PollType::wait_indefinitely());
                }
            })?;
        }
        Ok(())
    }

    /// Copies all of a buffer to the beginning of another, behind what was submitted.
    ///
    /// # Errors
    /// Where the GPU is lost.
    pub(crate) fn copy(&self, from: &Buffer, to: &Buffer) -> Result<(), Error> {
        let shared = &self.shared;
        shared.guarded("copy", 0, || {
            let mut encoder = shared.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(from.raw(), 0, to.raw(), 0, from.bytes());
            shared.queue.submit([encoder.finish()]);
        })
    }

    /// A buffer with room for `bytes` whose contents are anything, for as long as it is held.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn scratch(&self, bytes: usize) -> Result<Buffer, Error> {
        self.shared.alive()?;
        let least = (bytes as u64).next_multiple_of(16);
        self.check_size(least)?;
        let class = size_class(bytes as u64);
        // A class may be larger than a kernel may see, although what was asked for is not.
        let size = if class > self.largest() { least } else { class };
        if let Some((raw, id)) = locked(&self.shared.pool).get_mut(&size).and_then(Vec::pop) {
            return Ok(self.buffer(raw, Some(id)));
        }
        let raw = match self.allocate(size) {
            Err(Error::OutOfMemory { .. }) => {
                self.trim();
                self.allocate(size)?
            }
            other => other?,
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(self.buffer(raw, Some(id)))
    }

    /// Frees the scratch that nobody holds.
    pub fn trim(&self) {
        let freed: Vec<(wgpu::Buffer, u64)> = locked(&self.shared.pool).drain().flat_map(|(_, free)| free).collect();
        let mut caches = locked(&self.shared.caches);
        for (buffer, id) in freed {
            caches.forget(id);
            self.shared.held.fetch_sub(buffer.size(), Ordering::Relaxed);
            buffer.destroy();
        }
    }

    /// The most bytes that a buffer may have and a kernel still sees.
    pub fn largest(&self) -> u64 {
        let limits = &self.shared.limits;
        // Whole numbers of 16 bytes.
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size) / 16 * 16
    }

    fn check_size(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.largest();
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::TooLarge { adapter: self.shared.adapter.name.clone(), bytes, limit })
    }

    fn allocate(&self, size: u64) -> Result<wgpu::Buffer, Error> {
        let shared = &self.shared;
        let held = shared.held.load(Ordering::Relaxed);
        if let Some(memory) = shared.adapter.memory.filter(|memory| held.saturating_add(size) > *memory) {
            let adapter = shared.adapter.name.clone();
            return Err(Error::OutOfMemory { adapter, bytes: size, held, memory: Some(memory) });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let raw = shared.guarded("a buffer", size, || shared.device.create_buffer(&descriptor))?;
        shared.held.fetch_add(size, Ordering::Relaxed);
        Ok(raw)
    }

    fn buffer(&self, raw: wgpu::Buffer, scratch: Option<u64>) -> Buffer {
        let id = scratch.unwrap_or_else(|| self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        Buffer { inner: Arc::new(Inner { shared: Arc::clone(&self.shared), raw, id, scratch: scratch.is_some() }) }
    }
}

/// The size of scratch for so many bytes: a power of two, or three quarters of one, so that a third is wasted at most.
fn size_class(bytes: u64) -> u64 {
    let power = bytes.max(SMALLEST).next_power_of_two();
    if bytes <= power / 4 * 3 { power / 4 * 3 } else { power }
}

/// The bytes of numbers.
pub(crate) fn f32_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The bytes of numbers.
pub(crate) fn u32_bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}
