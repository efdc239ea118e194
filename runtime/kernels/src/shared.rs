//! A slice of which each thread changes another part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that is cut up among the tasks of a step.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for `&mut [T]`; `part` has its callers promise that parts do not overlap.
#[expect(unsafe_code, reason = "results are cut up by columns too, which no slice can be")]
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrowed: PhantomData }
    }

    /// The numbers of `range`.
    ///
    /// # Safety
    /// No two parts that are alive at the same time overlap.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "the caller cuts the slice up")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} numbers", self.len);
        // SAFETY: the range lies within the slice, and nobody else has it.
        #[expect(unsafe_code, reason = "a part of a slice that others have parts of")]
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(range.start), range.len())
        }
    }

    /// The numbers from `first` on.
    pub(crate) fn pointer(&self, first: usize) -> *mut T {
        assert!(first <= self.len, "number {first} of {}", self.len);
        self.start.wrapping_add(first)
    }
}
