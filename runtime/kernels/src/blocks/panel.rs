//! Blocks laid out for products.
//!
//! Outputs are cut into panels of 16. A panel holds the blocks of its 16 rows, one block of each side by side: first their
//! factors, then for each 32 inputs their numbers. These make 8 *lines* of 64 bytes, each with 4 inputs of 16 outputs,
//! which is what vector instructions multiply with 4 activations. Fewer bits than 8 lie in planes:
//!
//! - 4 bits, 4 planes: a plane has a line in its low halves and the fourth line after it in the high ones;
//! - 2 bits, 2 planes, of 4 lines that follow each other;
//! - 1 bit, 1 plane of all 8 lines.
//!
//! 5 bits are 4 and 1, 6 are 4 and 2, 3 are 2 and 1. So a weight takes the memory that it has in the file, but for the
//! factors of 6 bits, which take 8 here. A product spreads some inputs of a panel out to bytes and singles
//! ([`Spread`]), which then serve all of its rows; few rows read the planes themselves.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::read::Unpacked;
use super::{BlockType, Blocks, Factors, Layout};
use crate::aligned::Aligned;
use crate::simd::{Plain, Simd};

/// Outputs of a panel.
pub(crate) const PANEL: usize = 16;

/// Inputs whose numbers lie in planes together.
pub(crate) const TOGETHER: usize = 32;

/// Inputs of one output that lie side by side.
pub(crate) const GROUP: usize = 4;

/// Lines of the inputs that lie together.
pub(crate) const LINES: usize = TOGETHER / GROUP;

/// 4 inputs of 16 outputs.
pub(crate) type Line = [u8; PANEL * GROUP];

/// A factor for each output.
pub(crate) type Floats = [f32; PANEL];

/// The weights of a product.
pub(crate) struct Panels {
    pub(crate) kind: BlockType,
    /// Blocks in a row.
    blocks: usize,
    bytes: Aligned<u8>,
}

/// Where things are in the blocks of 16 rows.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// The least numbers of blocks, behind their factors.
    mins: usize,
    /// The factors of groups.
    factors: usize,
    /// Those of the next group.
    next_group: usize,
    /// The planes.
    pub(super) planes: usize,
    /// Those of the next inputs.
    pub(super) next_planes: usize,
    /// The next blocks.
    pub(super) end: usize,
}

impl Layout {
    pub(super) const fn places(&self) -> Places {
        let mins = if self.single { 4 * PANEL } else { 2 * PANEL };
        let factors = mins + if self.min { 2 * PANEL } else { 0 };
        let next_group = match self.factors {
            Factors::None => 0,
            Factors::Scale | Factors::Halves => PANEL,
            Factors::ScaleAndMin => 2 * PANEL,
        };
        let planes = factors + self.elements / self.group * next_group;
        let next_planes = self.bits * size_of::<Line>();
        let end = planes + self.elements / TOGETHER * next_planes;
        Places { mins, factors, next_group, planes, next_planes, end }
    }
}

/// Memory in which some inputs of a panel are spread out.
pub(crate) struct Spread {
    /// The numbers as bytes; or of 32 inputs the low halves of bytes and then the high halves.
    pub(crate) lines: Box<[Line]>,
    /// Of each group.
    pub(crate) scales: Box<[Floats]>,
    /// The same for least numbers.
    pub(crate) mins: Box<[Floats]>,
}

/// Lines that are spread out at a time: so that they stay in the first-level cache with what they are multiplied with.
const SPREAD_LINES: usize = 256;

impl Default for Spread {
    fn default() -> Self {
        let floats = || vec![[0.0; PANEL]; SPREAD_LINES * GROUP / 16].into_boxed_slice();
        let lines = vec![[0; PANEL * GROUP]; SPREAD_LINES].into_boxed_slice();
        Self { lines, scales: floats(), mins: floats() }
    }
}

impl Panels {
    /// Lays out rows of `inputs` numbers that come one after the other in `pieces`.
    pub(crate) fn new(kind: BlockType, inputs: usize, pieces: &[&[u8]]) -> Self {
        let layout = kind.layout();
        assert_eq!(inputs % layout.elements, 0, "rows are whole blocks");
        // Without the sums, both are one.
        let kept = if kind == BlockType::Q8_1 { BlockType::Q8_0 } else { kind };
        let blocks = inputs / layout.elements;
        let rows: Vec<&[u8]> =
            pieces.iter().flat_map(|piece| piece.chunks_exact((blocks * layout.bytes).max(1))).collect();
        let places = layout.places();
        let mut bytes = Aligned::zeros(rows.len().div_ceil(PANEL) * blocks * places.end);
        if blocks > 0 {
            let panels = bytes.par_chunks_mut(blocks * places.end).zip(rows.par_chunks(PANEL));
            panels.for_each(|(panel, rows)| {
                for (block, to) in panel.chunks_exact_mut(places.end).enumerate() {
                    let blocks = rows.iter().map(|row| &row[block * layout.bytes..][..layout.bytes]);
                    let blocks: Vec<Unpacked> = blocks.map(|block| Unpacked::read(kind, block)).collect();
                    pack(layout, &blocks, to);
                }
            });
        }
        Self { kind: kept, blocks, bytes }
    }

    /// The most blocks of a panel that are spread out at a time, where bytes are cut in two or not.
    pub(crate) fn most_blocks(&self, halves: bool) -> usize {
        SPREAD_LINES * GROUP / self.kind.elements() / if halves { 2 } else { 1 }
    }

    /// Blocks in a row.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Some blocks of a panel.
    pub(crate) fn bytes(&self, panel: usize, blocks: Range<usize>) -> &[u8] {
        let end = self.kind.layout().places().end;
        let first = (panel * self.blocks + blocks.start) * end;
        &self.bytes[first..][..blocks.len() * end]
    }

    /// Fills `to` with the numbers of a row, or adds them to it.
    pub(crate) fn row(&self, row: usize, add: bool, to: &mut [f32]) {
        let layout = self.kind.layout();
        let places = layout.places();
        let (panel, column) = (row / PANEL, row % PANEL);
        let bytes = &self.bytes[panel * self.blocks * places.end..][..self.blocks * places.end];
        let groups = layout.elements / layout.group;
        let (mut scales, mut mins) = ([[0.0; PANEL]; 16], [[0.0; PANEL]; 16]);
        for (block, to) in bytes.chunks_exact(places.end).zip(to.chunks_exact_mut(layout.elements)) {
            factors(layout, places, block, &Plain::halves, &mut scales[..groups], &mut mins[..groups]);
            let planes = &block[places.planes..];
            for (group, to) in to.chunks_exact_mut(layout.group).enumerate() {
                for (at, to) in to.iter_mut().enumerate() {
                    let input = group * layout.group + at;
                    let planes = &planes[input / TOGETHER * places.next_planes..][..places.next_planes];
                    let quant = number(layout.bits, planes, input % TOGETHER, column);
                    let x = scales[group][column] * f32::from(i16::from(quant) - i16::from(layout.zero));
                    let x = if layout.min { x + mins[group][column] } else { x };
                    *to = if add { *to + x } else { x };
                }
            }
        }
    }
}

impl Spread {
    /// Spreads out the factors of blocks of kind `K`.
    #[inline(always)]
    pub(crate) fn factors<S: Simd, K: Blocks>(&mut self, bytes: &[u8]) {
        let layout = const { K::KIND.layout() };
        let places = const { K::KIND.layout().places() };
        let groups = layout.elements / layout.group;
        let to = self.scales.chunks_exact_mut(groups).zip(self.mins.chunks_exact_mut(groups));
        for (block, (scales, mins)) in bytes.chunks_exact(places.end).zip(to) {
            factors(layout, places, block, &S::halves, scales, mins);
        }
    }

    /// Spreads out their numbers; `HALVES` cuts bytes in two.
    #[inline(always)]
    pub(crate) fn numbers<K: Blocks, const HALVES: bool>(&mut self, bytes: &[u8]) {
        let layout = const { K::KIND.layout() };
        let places = const { K::KIND.layout().places() };
        let lines = if HALVES { 2 * LINES } else { LINES };
        let to = self.lines.chunks_exact_mut(layout.elements / TOGETHER * lines);
        for (block, to) in bytes.chunks_exact(places.end).zip(to) {
            let planes = block[places.planes..].chunks_exact(places.next_planes);
            for (planes, lines) in planes.zip(to.chunks_exact_mut(lines)) {
                spread_planes::<HALVES>(layout.bits, planes.as_chunks().0, lines);
            }
        }
    }
}

/// Lays out a block of each row of a panel.
fn pack(layout: Layout, blocks: &[Unpacked], to: &mut [u8]) {
    let places = layout.places();
    for (column, block) in blocks.iter().enumerate() {
        if layout.single {
            to[4 * column..][..4].copy_from_slice(&block.scale.to_le_bytes());
        } else {
            to[2 * column..][..2].copy_from_slice(&f16::from_f32(block.scale).to_le_bytes());
        }
        if layout.min {
            to[places.mins + 2 * column..][..2].copy_from_slice(&f16::from_f32(block.min).to_le_bytes());
        }
        for group in 0..layout.elements / layout.group {
            let to = &mut to[places.factors + group * places.next_group + column..];
            let (scale, min) = (block.scales[group].cast_unsigned(), block.mins[group].cast_unsigned());
            match layout.factors {
                Factors::None => {}
                Factors::Scale => to[0] = scale,
                Factors::ScaleAndMin => (to[0], to[PANEL]) = (scale, min),
                Factors::Halves => to[0] = scale | min << 4,
            }
        }
    }
    for (part, to) in to[places.planes..].chunks_exact_mut(places.next_planes).enumerate() {
        let mut lines: [Line; LINES] = [[0; PANEL * GROUP]; LINES];
        for (column, block) in blocks.iter().enumerate() {
            let quants = block.quants[part * TOGETHER..][..TOGETHER].chunks_exact(GROUP);
            for (line, quants) in lines.iter_mut().zip(quants) {
                line[column * GROUP..][..GROUP].copy_from_slice(quants);
            }
        }
        let planes = to.as_chunks_mut().0;
        match layout.bits {
            2 => plane::<2>(&lines, planes, 0),
            3 => {
                let (low, high) = planes.split_at_mut(2);
                plane::<2>(&lines, low, 0);
                plane::<1>(&lines, high, 2);
            }
            4 => plane::<4>(&lines, planes, 0),
            5 => {
                let (low, high) = planes.split_at_mut(4);
                plane::<4>(&lines, low, 0);
                plane::<1>(&lines, high, 4);
            }
            6 => {
                let (low, high) = planes.split_at_mut(4);
                plane::<4>(&lines, low, 0);
                plane::<2>(&lines, high, 4);
            }
            _ => planes.copy_from_slice(&lines),
        }
    }
}

/// The place of `BITS` bits of a line: the plane, and how far they are shifted there.
pub(super) const fn place<const BITS: usize>(line: usize) -> (usize, usize) {
    match BITS {
        4 => (line % 4, line / 4 * 4),
        2 => (line / 4, line % 4 * 2),
        _ => (0, line),
    }
}

/// Puts the `BITS` bits from `from` on of all lines in planes of zeros.
fn plane<const BITS: usize>(lines: &[Line; LINES], planes: &mut [Line], from: usize) {
    for (index, line) in lines.iter().enumerate() {
        let (plane, shift) = place::<BITS>(index);
        for (to, byte) in planes[plane].iter_mut().zip(line) {
            *to |= (byte >> from & ((1 << BITS) - 1)) << shift;
        }
    }
}

/// Adds `BITS` bits from planes to lines, as those from `to` on.
#[inline(always)]
fn spread_bits<const BITS: usize, const FIRST: bool>(planes: &[Line], lines: &mut [Line], to: usize) {
    for (index, line) in lines.iter_mut().enumerate() {
        let (plane, shift) = place::<BITS>(index);
        let from = &planes[plane];
        for at in 0..from.len() {
            let bits = (from[at] >> shift & ((1 << BITS) - 1)) << to;
            line[at] = if FIRST { bits } else { line[at] | bits };
        }
    }
}

#[inline(always)]
fn spread_planes<const HALVES: bool>(bits: usize, planes: &[Line], lines: &mut [Line]) {
    match bits {
        2 => spread_bits::<2, true>(planes, lines, 0),
        3 => {
            spread_bits::<2, true>(planes, lines, 0);
            spread_bits::<1, false>(&planes[2..], lines, 2);
        }
        4 => spread_bits::<4, true>(planes, lines, 0),
        5 => {
            spread_bits::<4, true>(planes, lines, 0);
            spread_bits::<1, false>(&planes[4..], lines, 4);
        }
        6 => {
            spread_bits::<4, true>(planes, lines, 0);
            spread_bits::<2, false>(&planes[4..], lines, 4);
        }
        _ if HALVES => {
            let (low, high) = lines.split_at_mut(LINES);
            for (from, (low, high)) in planes.iter().zip(low.iter_mut().zip(high)) {
                for at in 0..from.len() {
                    low[at] = from[at] & 15;
                    high[at] = from[at] >> 4;
                }
            }
        }
        _ => lines.copy_from_slice(planes),
    }
}

/// A number of a column.
fn number(bits: usize, planes: &[u8], input: usize, column: usize) -> u8 {
    let planes: &[Line] = planes.as_chunks().0;
    let line = input / GROUP;
    let at = column * GROUP + input % GROUP;
    let take = |planes: &[Line], bits: usize, (plane, shift): (usize, usize)| {
        planes[plane][at] >> shift & (u8::MAX >> (8 - bits))
    };
    match bits {
        2 => take(planes, 2, place::<2>(line)),
        3 => take(planes, 2, place::<2>(line)) | take(&planes[2..], 1, place::<1>(line)) << 2,
        4 => take(planes, 4, place::<4>(line)),
        5 => take(planes, 4, place::<4>(line)) | take(&planes[4..], 1, place::<1>(line)) << 4,
        6 => take(planes, 4, place::<4>(line)) | take(&planes[4..], 2, place::<2>(line)) << 4,
        _ => planes[line][at],
    }
}

/// Fills `scales` and `mins` with the factors of the groups of a block.
#[inline(always)]
fn factors(
    layout: Layout,
    places: Places,
    block: &[u8],
    half: &impl Fn(&[[u8; 2]; PANEL]) -> Floats,
    scales: &mut [Floats],
    mins: &mut [Floats],
) {
    let half = |bytes: &[u8]| bytes.as_chunks().0.first_chunk().map_or([0.0; PANEL], half);
    let scale = if layout.single { singles(block) } else { half(block) };
    let min = if layout.min { half(&block[places.mins..]) } else { [0.0; PANEL] };
    if layout.factors == Factors::None {
        scales.fill(scale);
        if layout.min {
            mins.fill(min);
        }
        return;
    }
    for (group, (scales, mins)) in scales.iter_mut().zip(mins).enumerate() {
        let bytes = &block[places.factors + group * places.next_group..][..places.next_group];
        for column in 0..PANEL {
            match layout.factors {
                Factors::None => {}
                Factors::Scale => scales[column] = scale[column] * f32::from(bytes[column].cast_signed()),
                Factors::ScaleAndMin => {
                    scales[column] = scale[column] * f32::from(bytes[column]);
                    mins[column] = min[column] * f32::from(bytes[PANEL + column]);
                }
                Factors::Halves => {
                    scales[column] = scale[column] * f32::from(bytes[column] & 15);
                    mins[column] = min[column] * f32::from(bytes[column] >> 4);
                }
            }
        }
    }
}

fn singles(bytes: &[u8]) -> Floats {
    let mut floats = [0.0; PANEL];
    for (to, bytes) in floats.iter_mut().zip(bytes.as_chunks().0) {
        *to = f32::from_le_bytes(*bytes);
    }
    floats
}
