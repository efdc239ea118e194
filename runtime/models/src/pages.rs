//! Memory of mapped files that is not needed any more.

use std::ops::Range;

use memmap2::{Mmap, UncheckedAdvice};

/// Lets the operating system take back the pages of `bytes`; it reads them from the file again where they are asked for.
pub(crate) fn give_back(map: &Mmap, bytes: Range<usize>) {
    // SAFETY: the map is of a file and read-only, so that nothing is lost with its pages.
    #[expect(unsafe_code, reason = "the advice is unsafe for private writable maps, which this is not")]
    let advised = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len()) };
    // Advice that is not taken costs memory, not correctness.
    drop(advised);
}
