//! Where the operating system takes no such advice.

use std::ops::Range;

use memmap2::Mmap;

/// Does nothing: the pages go with the map.
pub(crate) fn give_back(_map: &Mmap, _bytes: Range<usize>) {}
