//! Memory that begins on a cache line, so that no vector of a packed weight lies across two.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;

use half::bf16;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Memory for the numbers of a value; it grows to the most that was asked for.
#[derive(Default)]
pub struct Buffer(Aligned<f32>);

impl Buffer {
    /// Makes room for `len` numbers; what was there may be lost.
    pub fn fit(&mut self, len: usize) {
        if self.0.len() < len {
            // The old memory goes first, so that both are never there at once.
            self.0 = Aligned::zeros(0);
            self.0 = Aligned::zeros(len);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl<T: Number> Default for Aligned<T> {
    fn default() -> Self {
        Self::zeros(0)
    }
}

/// A number for which all bits zero is a value, and that needs no drop.
pub(crate) trait Number: Copy + Send + Sync + 'static {}

impl Number for f32 {}
impl Number for bf16 {}
impl Number for i8 {}
impl Number for u8 {}
impl Number for i16 {}
impl Number for i32 {}

/// A slice of fixed length on its own cache lines, zeros at first.
pub(crate) struct Aligned<T: Number> {
    start: NonNull<T>,
    len: usize,
    owned: PhantomData<T>,
}

// SAFETY: the memory is owned, and is changed through `&mut` only.
#[expect(unsafe_code, reason = "it owns its memory as a vector does, and `T` is a plain number")]
unsafe impl<T: Number> Send for Aligned<T> {}

// SAFETY: as above.
#[expect(unsafe_code, reason = "it owns its memory as a vector does, and `T` is a plain number")]
unsafe impl<T: Number> Sync for Aligned<T> {}

impl<T: Number> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self { start: NonNull::dangling(), len, owned: PhantomData };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty, since neither `len` nor the size of a number is zero.
        #[expect(unsafe_code, reason = "a vector cannot be given an alignment")]
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start.cast()) else { handle_alloc_error(layout) };
        Self { start, len, owned: PhantomData }
    }

    fn layout(len: usize) -> Layout {
        let array = Layout::array::<T>(len).and_then(|array| array.align_to(LINE));
        array.expect("what fits the address space has a layout")
    }
}

impl<T: Number> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` is that of `len` numbers, which were initialised to zero.
        #[expect(unsafe_code, reason = "as a vector does")]
        unsafe {
            std::slice::from_raw_parts(self.start.as_ptr(), self.len)
        }
    }
}

impl<T: Number> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the borrow is unique.
        #[expect(unsafe_code, reason = "as a vector does")]
        unsafe {
            std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len)
        }
    }
}

impl<T: Number> Drop for Aligned<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: it was allocated with this layout.
            #[expect(unsafe_code, reason = "as a vector does")]
            unsafe {
                dealloc(self.start.as_ptr().cast(), Self::layout(self.len));
            }
        }
    }
}
