//! A tile of a product of blocks: some rows, a panel of outputs, some groups of inputs that share a factor.

#![expect(unsafe_code, reason = "the innermost loop checks nothing")]

use std::marker::PhantomData;

use super::Blocks;
use super::panel::{Floats, GROUP, LINES, Line, TOGETHER, place};
use crate::simd::Simd;

/// Operands of a tile of blocks.
///
/// With the integers `sum = numbers - zero`, it adds `sum (scale of the row * scale of the output)`, and
/// `min * (sum of the row)` where there are least numbers, to the sums so far, one group after the other.
#[derive(Clone, Copy)]
pub(crate) struct BlockTile {
    pub(crate) groups: usize,
    /// The first row: 4 bytes with a sign in a word.
    pub(crate) a: *const u32,
    /// From a row of `a` to the next.
    pub(crate) a_stride: usize,
    /// The factors of the first row: for each group its scale, and the sum of its numbers, which is a single times that
    /// scale where there are least numbers, else an integer times what stands for 0.
    pub(crate) factors: *const [u32; 2],
    /// From the factors of a row to those of the next.
    pub(crate) factors_stride: usize,
    /// The weights, as the tile's source has them.
    pub(crate) weights: *const u8,
    /// `[groups, 16]`
    pub(crate) scales: *const Floats,
    /// `[groups, 16]`
    pub(crate) mins: *const Floats,
    /// The sums so far, `[rows, 16]`.
    pub(crate) c: *mut Floats,
}

/// Where a tile has the numbers of its weights from, and what tells tiles apart.
///
/// # Safety
/// Only lines that there are may be asked for, where the processor has `S`.
pub(crate) trait Source {
    /// Lines of a group: 8, or 4.
    const LINES: usize;
    /// Bits of a number. Bytes may be asked for in halves.
    const BITS: usize;
    /// Whether there are least numbers.
    const MIN: bool;

    /// A line of a group. Of bytes that are cut in two it has the low halves, or the high ones.
    unsafe fn line<S: Simd>(weights: *const u8, group: usize, line: usize, high: bool) -> S::Line;
}

/// Blocks of kind `K` that have been spread out.
pub(crate) struct SpreadOut<K>(PhantomData<K>);

impl<K: Blocks> Source for SpreadOut<K> {
    const LINES: usize = K::KIND.layout().group / GROUP;
    const BITS: usize = K::KIND.layout().bits;
    const MIN: bool = K::KIND.layout().min;

    #[inline(always)]
    unsafe fn line<S: Simd>(weights: *const u8, group: usize, line: usize, high: bool) -> S::Line {
        let halves = if S::HALVES && Self::BITS == 8 { 2 } else { 1 };
        let at = (group * halves + usize::from(high)) * Self::LINES + line;
        // SAFETY: the caller's promise.
        unsafe { S::line(weights.cast::<Line>().add(at)) }
    }
}

/// Blocks of kind `K` as a panel holds them: what is used once is not worth writing down.
pub(crate) struct InPlace<K>(PhantomData<K>);

impl<K: Blocks> Source for InPlace<K> {
    const LINES: usize = SpreadOut::<K>::LINES;
    const BITS: usize = SpreadOut::<K>::BITS;
    const MIN: bool = SpreadOut::<K>::MIN;

    #[inline(always)]
    unsafe fn line<S: Simd>(weights: *const u8, group: usize, line: usize, high: bool) -> S::Line {
        let layout = const { K::KIND.layout() };
        let places = const { K::KIND.layout().places() };
        let input = group * layout.group;
        let (block, part) = (input / layout.elements, input % layout.elements / TOGETHER);
        let line = input % TOGETHER / GROUP + line;
        let offset = block * places.end + places.planes + part * places.next_planes;
        // SAFETY: the caller's promise.
        unsafe {
            let planes: *const Line = weights.add(offset).cast();
            match Self::BITS {
                2 => bits::<S, 2>(planes, line),
                3 => S::join(bits::<S, 2>(planes, line), bits::<S, 1>(planes.add(2), line), 2),
                4 => bits::<S, 4>(planes, line),
                5 => S::join(bits::<S, 4>(planes, line), bits::<S, 1>(planes.add(4), line), 4),
                6 => S::join(bits::<S, 4>(planes, line), bits::<S, 2>(planes.add(4), line), 4),
                _ if S::HALVES => S::part(S::line(planes.add(line)), if high { 4 } else { 0 }, 15),
                _ => S::line(planes.add(line)),
            }
        }
    }
}

/// `BITS` bits of a line.
///
/// # Safety
/// As for [`Source::line`].
#[inline(always)]
unsafe fn bits<S: Simd, const BITS: usize>(planes: *const Line, line: usize) -> S::Line {
    debug_assert!(line < LINES, "a line of those that lie together");
    let (plane, shift) = place::<BITS>(line);
    // SAFETY: the caller's promise.
    unsafe { S::part(S::line(planes.add(plane)), shift, (1 << BITS) - 1) }
}
