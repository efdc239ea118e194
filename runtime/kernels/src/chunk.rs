//! A few numbers at a time, by value: nothing that is written meanwhile can change them, so that loops over them become
//! straight vector code.
//!
//! Those loops are written out: a function of the standard library that is not inlined (`map`, `from_fn`) is not compiled
//! for the instruction set of its caller.

/// Numbers in a chunk.
pub(crate) const CHUNK: usize = 16;

/// Numbers that are worked on together.
pub(crate) type Chunk<T = f32> = [T; CHUNK];

/// The first numbers of a slice, with zeros where it has fewer.
#[inline(always)]
pub(crate) fn take<T: Copy + Default>(from: &[T]) -> Chunk<T> {
    if let Some(chunk) = from.first_chunk() {
        return *chunk;
    }
    let mut chunk = [T::default(); CHUNK];
    chunk[..from.len()].copy_from_slice(from);
    chunk
}

/// Writes as many numbers as the slice holds.
#[inline(always)]
pub(crate) fn put<T: Copy>(chunk: Chunk<T>, to: &mut [T]) {
    if let Some(to) = to.first_chunk_mut() {
        *to = chunk;
    } else {
        to.copy_from_slice(&chunk[..to.len()]);
    }
}
