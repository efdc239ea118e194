//! Products of weights in blocks.
//!
//! 32 numbers of a row at a time become bytes: `x = scale q` with `q` from -127 to 127, so that a row's result does not
//! depend on others. Of a weight, some inputs of a panel are spread out at a time, and multiplied with all rows of the task.

use std::ops::Range;

use super::{Block, Product, Quantized, part};
use crate::blocks::panel::{Floats, GROUP, PANEL, Panels, Spread, TOGETHER};
use crate::blocks::tile::{BlockTile, InPlace, Source, SpreadOut};
use crate::blocks::{Blocks, ForBlocks};
use crate::chunk::put;
use crate::shared::Shared;
use crate::simd::{Kernel, Simd};
use crate::team::Team;

/// The largest activation in bytes.
const LARGEST: f32 = 127.0;

/// 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// Rows that are turned into bytes in a task of their own.
const ROWS: usize = 16;

/// Memory of a thread.
#[derive(Default)]
pub(super) struct Workspace {
    spread: Spread,
    /// The results of a panel so far.
    sums: Vec<Floats>,
}

/// The rows of one product.
pub(super) struct Rows<'a> {
    panels: &'a Panels,
    words: Shared<'a, u32>,
    factors: Shared<'a, [u32; 2]>,
    workspaces: Shared<'a, Workspace>,
    /// Words in a row.
    width: usize,
    /// Groups in a row.
    groups: usize,
    count: usize,
}

impl Quantized {
    /// Memory for `count` rows of a product with weights in blocks.
    pub(super) fn of_blocks<'a>(
        &'a mut self,
        panels: &'a Panels,
        inputs: usize,
        count: usize,
        threads: usize,
    ) -> Rows<'a> {
        let (width, groups) = (inputs / GROUP, inputs / panels.kind.layout().group);
        grow(&mut self.words, width * count);
        grow(&mut self.factors, groups * count);
        grow(&mut self.workspaces, threads);
        Rows {
            panels,
            words: Shared::new(&mut self.words),
            factors: Shared::new(&mut self.factors),
            workspaces: Shared::new(&mut self.workspaces),
            width,
            groups,
            count,
        }
    }
}

fn grow<T: Default>(memory: &mut Vec<T>, len: usize) {
    if memory.len() < len {
        memory.resize_with(len, T::default);
    }
}

impl Rows<'_> {
    /// Turns all rows into bytes, before tasks that share them.
    pub(super) fn fill_all(&self, team: &Team<'_>, product: &Product<'_>) {
        team.each(self.count.div_ceil(ROWS), &|task, _| {
            let rows = task * ROWS..self.count.min((task + 1) * ROWS);
            product.weight.isa.run(Fill { to: self, product, rows });
        });
    }
}

struct Fill<'a> {
    to: &'a Rows<'a>,
    product: &'a Product<'a>,
    rows: Range<usize>,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let layout = self.to.panels.kind.layout();
        let (inputs, width, groups) = (self.product.weight.inputs, self.to.width, self.to.groups);
        for row in self.rows {
            let x = &self.product.x[row * inputs..(row + 1) * inputs];
            // SAFETY: rows are cut up among tasks.
            #[expect(unsafe_code, reason = "memory that tasks share")]
            let (words, factors) = unsafe {
                (
                    self.to.words.part(row * width..(row + 1) * width),
                    self.to.factors.part(row * groups..(row + 1) * groups),
                )
            };
            let together = TOGETHER / layout.group;
            let to = words.chunks_exact_mut(TOGETHER / GROUP).zip(factors.chunks_exact_mut(together));
            for (x, (words, factors)) in x.as_chunks().0.iter().zip(to) {
                let (scale, sums) = quantize(x, words);
                if let [factors] = factors {
                    *factors = factors_of(scale, sums[0] + sums[1], layout.min, layout.zero);
                } else {
                    for (factors, sum) in factors.iter_mut().zip(sums) {
                        *factors = factors_of(scale, sum, layout.min, layout.zero);
                    }
                }
            }
        }
    }
}

/// What a tile needs to know of a group besides its bytes.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a sum of at most 32 bytes")]
fn factors_of(scale: f32, sum: i32, min: bool, zero: u8) -> [u32; 2] {
    let of_row = if min { (sum as f32 * scale).to_bits() } else { (sum * i32::from(zero)).cast_unsigned() };
    [scale.to_bits(), of_row]
}

/// Fills `words` with numbers as bytes; returns their scale, and the sums of the bytes of both halves.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits of a number from -127 to 127")]
fn quantize(x: &[f32; TOGETHER], words: &mut [u32]) -> (f32, [i32; 2]) {
    const HALF: usize = TOGETHER / 2;
    let (first, second) = x.split_at(HALF);
    // As integers, so that what is no number is the largest, and the result no number either.
    let mut largest = [0u32; HALF];
    for at in 0..HALF {
        let (a, b) = (first[at].abs().to_bits(), second[at].abs().to_bits());
        largest[at] = if a > b { a } else { b };
    }
    let mut width = HALF / 2;
    while width > 0 {
        for at in 0..width {
            largest[at] = if largest[at] > largest[at + width] { largest[at] } else { largest[at + width] };
        }
        width /= 2;
    }
    let scale = f32::from_bits(largest[0]) / LARGEST;
    let factor = 1.0 / scale;
    let factor = if factor.is_finite() { factor } else { 0.0 };
    let mut bytes = [0u8; TOGETHER];
    let mut sums = [[0i32; HALF]; 2];
    for half in 0..2 {
        for at in 0..HALF {
            let bits = (x[half * HALF + at] * factor + ROUND).to_bits();
            bytes[half * HALF + at] = bits as u8;
            sums[half][at] = i32::from((bits as u8).cast_signed());
        }
    }
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    (scale, [sums[0].iter().sum(), sums[1].iter().sum()])
}

/// A task of a product.
pub(super) struct Task<'a> {
    pub(super) block: Block<'a>,
    pub(super) quantized: &'a Rows<'a>,
    /// Whether this task turns its rows into bytes itself.
    pub(super) fill: bool,
    pub(super) thread: usize,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if self.fill {
            let Block { product, rows, .. } = &self.block;
            Fill { to: self.quantized, product, rows: rows.clone() }.run::<S>();
        }
        // SAFETY: no two tasks that run at the same time have the same thread.
        #[expect(unsafe_code, reason = "memory that tasks share")]
        let workspace = unsafe { self.quantized.workspaces.part(self.thread..self.thread + 1) };
        let kind = self.quantized.panels.kind;
        kind.run(OfKind { task: &self, workspace: &mut workspace[0], simd: std::marker::PhantomData::<S> });
        self.block.finish_rows();
    }
}

struct OfKind<'a, S> {
    task: &'a Task<'a>,
    workspace: &'a mut Workspace,
    simd: std::marker::PhantomData<S>,
}

impl<S: Simd> ForBlocks for OfKind<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<K: Blocks>(self) {
        let Task { block, quantized, .. } = self.task;
        let Workspace { spread, sums } = self.workspace;
        let panels = quantized.panels;
        let halves = S::HALVES && K::KIND.layout().bits == 8;
        let steps = panels.blocks().div_ceil(panels.most_blocks(halves));
        grow(sums, block.rows.len());
        for panel in block.panels.clone() {
            sums[..block.rows.len()].fill([0.0; PANEL]);
            for step in 0..steps {
                let blocks = part(panels.blocks(), steps, step);
                let bytes = panels.bytes(panel, blocks.clone());
                spread.factors::<S, K>(bytes);
                if block.rows.len() <= S::BLOCK_ROWS {
                    self.task.tiles::<S, K, InPlace<K>>(blocks, bytes, spread, sums);
                    continue;
                }
                if halves {
                    spread.numbers::<K, true>(bytes);
                } else {
                    spread.numbers::<K, false>(bytes);
                }
                self.task.tiles::<S, K, SpreadOut<K>>(blocks, spread.lines.as_flattened(), spread, sums);
            }
            self.task.finish::<S>(panel, sums);
        }
    }
}

impl Task<'_> {
    /// Adds the products of some blocks, whose factors have been spread out, to the sums.
    #[inline(always)]
    fn tiles<S: Simd, K: Blocks, B: Source>(
        &self,
        blocks: Range<usize>,
        weights: &[u8],
        spread: &Spread,
        sums: &mut [Floats],
    ) {
        let Rows { words, factors, width, groups, .. } = self.quantized;
        let layout = const { K::KIND.layout() };
        let (first, first_group) =
            (blocks.start * layout.elements / GROUP, blocks.start * layout.elements / layout.group);
        for rows in self.block.tiles(S::BLOCK_ROWS) {
            let here = rows.start - self.block.rows.start;
            let tile = BlockTile {
                groups: blocks.len() * layout.elements / layout.group,
                a: words.pointer(rows.start * width + first),
                a_stride: *width,
                factors: factors.pointer(rows.start * groups + first_group),
                factors_stride: *groups,
                weights: weights.as_ptr(),
                scales: spread.scales.as_ptr(),
                mins: spread.mins.as_ptr(),
                c: sums[here..here + rows.len()].as_mut_ptr(),
            };
            // SAFETY: `Isa::run` has asked for `S`; the rows have been filled, `weights` are these blocks, and
            // there are sums for all rows.
            #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
            unsafe {
                S::block_tile::<B>(rows.len(), tile);
            }
        }
    }

    /// Finishes the sums of a panel and writes them to the result.
    #[inline(always)]
    fn finish<S: Simd>(&self, panel: usize, sums: &[Floats]) {
        let Product { weight, finish, .. } = self.block.product;
        let columns = panel * PANEL..((panel + 1) * PANEL).min(weight.outputs);
        for (row, sums) in self.block.rows.clone().zip(sums) {
            let first = row * weight.outputs + columns.start;
            // SAFETY: this task alone has these rows and columns of the result.
            #[expect(unsafe_code, reason = "memory that tasks share")]
            let to = unsafe { self.block.to.part(first..first + columns.len()) };
            put(finish.chunk::<S>(*sums, first, columns.start), to);
        }
    }
}
