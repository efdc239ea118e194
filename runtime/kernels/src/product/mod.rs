//! Products of activations and packed weights, with what follows them done while the results are in the cache.
//!
//! Rows are cut into blocks, one task each; few rows are shared by tasks that have some panels each, so that every
//! thread reads its part of the weight only. Activations are read where they are: broadcasts of single numbers gain
//! nothing from packing.

mod blocks;
mod finish;
mod integer;

use std::ops::Range;

pub use finish::Finish;

use crate::packed::{Numbers, Packed};
use crate::shared::Shared;
use crate::simd::{Kernel, Simd, TALLEST_TILE, WIDEST_PANEL, Weight};
use crate::team::Team;
use crate::tile::Tile;

/// Rows of a block: its activations and results stay in the second-level cache.
const BLOCK_ROWS: usize = 96;

/// Numbers of a sum that are added before the next panel: that much of a panel stays in the first-level cache.
const DEPTH: usize = 384;

/// Fewer rows for each thread than this are shared by columns.
const ROWS_FOR_A_THREAD: usize = 32;

/// Rows that are finished in a task of their own.
const FINISHED_ROWS: usize = 16;

/// Multiplications that are not worth a second thread.
const SMALL: usize = 1 << 15;

/// Memory for activations as bytes; it grows to what the largest product needs.
#[derive(Default)]
pub struct Quantized {
    words: Vec<u32>,
    /// How each row is scaled, for integers.
    rows: Vec<integer::Row>,
    /// How each group is scaled, for blocks.
    factors: Vec<[u32; 2]>,
    workspaces: Vec<blocks::Workspace>,
}

impl Quantized {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// `finish(x weight^T)`.
pub struct Product<'a> {
    /// `[rows, inputs]`
    pub x: &'a [f32],
    /// `[outputs, inputs]`
    pub weight: &'a Packed,
    /// What follows.
    pub finish: Finish<'a>,
}

impl Product<'_> {
    /// Fills `to [rows, outputs]`. `quantized` holds the rows as bytes where the weight does.
    pub fn run(&self, team: &Team<'_>, quantized: &mut Quantized, to: &mut [f32]) {
        let (inputs, outputs) = (self.weight.inputs, self.weight.outputs);
        if to.is_empty() {
            return;
        }
        let rows = to.len() / outputs;
        assert_eq!(to.len(), rows * outputs, "whole rows");
        assert_eq!(self.x.len(), rows * inputs, "as many rows of x as of results");
        self.finish.check(rows, outputs);
        let cut = Cut::new(self, rows, team.threads());
        let isa = self.weight.isa;
        // Where tasks share rows, these become bytes first.
        let fill = cut.columns == 1;
        let to = Shared::new(to);
        let block = |task| Block { product: self, rows: cut.rows(task), panels: cut.panels(task), to: &to };
        match &self.weight.numbers {
            Numbers::F32(numbers) => {
                team.each(cut.tasks(), &|task, _| isa.run(Floats { block: block(task), weights: numbers }));
            }
            Numbers::Bf16(numbers) => {
                team.each(cut.tasks(), &|task, _| isa.run(Floats { block: block(task), weights: numbers }));
            }
            Numbers::Int8(weights) => {
                let quantized = &quantized.of_integers(weights, self, rows);
                if !fill {
                    quantized.fill_all(team, self);
                }
                team.each(cut.tasks(), &|task, _| {
                    isa.run(integer::Bytes { block: block(task), weights, quantized, fill });
                });
            }
            Numbers::Blocks(panels) => {
                let quantized = &quantized.of_blocks(panels, inputs, rows, team.threads());
                if !fill {
                    quantized.fill_all(team, self);
                }
                team.each(cut.tasks(), &|task, thread| {
                    isa.run(blocks::Task { block: block(task), quantized, fill, thread });
                });
            }
        }
        if cut.columns > 1 && (self.finish.add.is_some() || self.finish.norm.is_some()) {
            team.each(rows.div_ceil(FINISHED_ROWS), &|task, _| {
                let rows = task * FINISHED_ROWS..rows.min((task + 1) * FINISHED_ROWS);
                self.weight.isa.run(Rows { finish: &self.finish, to: &to, width: outputs, rows });
            });
        }
    }
}

/// What is done to whole rows after tasks that had some of their columns each.
struct Rows<'a> {
    finish: &'a Finish<'a>,
    to: &'a Shared<'a, f32>,
    width: usize,
    rows: Range<usize>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        self.finish.rows(self.to, self.width, self.rows);
    }
}

/// How a result is cut into tasks.
#[derive(Clone, Copy)]
struct Cut {
    /// Rows, panels, and the rows of a tile.
    sizes: [usize; 3],
    blocks: usize,
    columns: usize,
}

impl Cut {
    fn new(product: &Product<'_>, rows: usize, threads: usize) -> Self {
        let weight = product.weight;
        let panels = weight.outputs.div_ceil(weight.panel());
        let sizes = [rows, panels, weight.rows()];
        let small = rows * weight.inputs * weight.outputs < SMALL;
        if small || threads == 1 || rows >= ROWS_FOR_A_THREAD * threads {
            let threads = if small { 1 } else { threads };
            // As many blocks for each thread, of about the same number of rows.
            let blocks = rows.div_ceil(threads * BLOCK_ROWS) * threads;
            return Self { sizes, blocks, columns: 1 };
        }
        Self { sizes, blocks: 1, columns: panels.min(2 * threads) }
    }

    fn tasks(&self) -> usize {
        self.blocks * self.columns
    }

    fn rows(&self, task: usize) -> Range<usize> {
        let [rows, _, tile] = self.sizes;
        let Range { start, end } = part(rows.div_ceil(tile), self.blocks, task / self.columns);
        (start * tile).min(rows)..(end * tile).min(rows)
    }

    fn panels(&self, task: usize) -> Range<usize> {
        part(self.sizes[1], self.columns, task % self.columns)
    }
}

/// Part `index` of `0..whole` cut into `count` parts of about the same length.
fn part(whole: usize, count: usize, index: usize) -> Range<usize> {
    whole * index / count..whole * (index + 1) / count
}

/// A task: some rows and some panels of a product.
struct Block<'a> {
    product: &'a Product<'a>,
    rows: Range<usize>,
    panels: Range<usize>,
    to: &'a Shared<'a, f32>,
}

impl Block<'_> {
    /// The rows in tiles of about the same height, at most `height`.
    #[inline(always)]
    fn tiles(&self, height: usize) -> impl Iterator<Item = Range<usize>> {
        let (rows, first) = (self.rows.len(), self.rows.start);
        let count = rows.div_ceil(height);
        (0..count).map(move |tile| {
            let Range { start, end } = part(rows, count, tile);
            first + start..first + end
        })
    }

    /// The outputs of a panel.
    #[inline(always)]
    fn outputs<S: Simd>(&self, panel: usize) -> Range<usize> {
        panel * S::PANEL..((panel + 1) * S::PANEL).min(self.product.weight.outputs)
    }

    /// Finishes the rows, where this task has all their columns.
    #[inline(always)]
    fn finish_rows(&self) {
        let outputs = self.product.weight.outputs;
        if self.panels == (0..outputs.div_ceil(self.product.weight.panel())) {
            self.product.finish.rows(self.to, outputs, self.rows.clone());
        }
    }
}

/// A block of floating-point weights.
struct Floats<'a, W> {
    block: Block<'a>,
    weights: &'a [W],
}

impl<W: Weight> Kernel for Floats<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let block = &self.block;
        let inputs = block.product.weight.inputs;
        let steps = inputs.div_ceil(DEPTH).max(1);
        for step in 0..steps {
            let depth = part(inputs, steps, step);
            for panel in block.panels.clone() {
                let weights = &self.weights[(panel * inputs + depth.start) * S::PANEL..][..depth.len() * S::PANEL];
                let outputs = block.outputs::<S>(panel);
                if outputs.len() == S::PANEL {
                    self.full::<S>(weights, depth.clone(), outputs, step + 1 == steps);
                } else if step + 1 == steps {
                    let weights = &self.weights[panel * inputs * S::PANEL..][..inputs * S::PANEL];
                    self.partial::<S>(weights, outputs);
                }
            }
        }
        self.block.finish_rows();
    }
}

impl<W: Weight> Floats<'_, W> {
    /// Tiles of a whole panel, over a part of the depth.
    #[inline(always)]
    fn full<S: Simd>(&self, weights: &[W], depth: Range<usize>, outputs: Range<usize>, last: bool) {
        let Product { x, weight, finish } = self.block.product;
        for rows in self.block.tiles(S::ROWS) {
            let c = self.block.to.pointer(rows.start * weight.outputs + outputs.start);
            let tile = Tile {
                depth: depth.len(),
                a: x[rows.start * weight.inputs + depth.start..].as_ptr(),
                a_stride: weight.inputs,
                b: weights.as_ptr(),
                c,
                c_stride: weight.outputs,
                accumulate: depth.start > 0,
            };
            // SAFETY: `Isa::run` has asked for `S`; rows, depth and outputs lie within the operands, whose lengths
            // `Product::run` has compared; this task alone has these rows and columns of the result.
            #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
            unsafe {
                S::tile(rows.len(), tile);
            }
            if last {
                finish.tile::<S>(self.block.to, weight.outputs, rows, outputs.clone());
            }
        }
    }

    /// Tiles of the last panel, where it is not whole: by way of a buffer.
    #[inline(always)]
    fn partial<S: Simd>(&self, weights: &[W], outputs: Range<usize>) {
        let Product { x, weight, finish } = self.block.product;
        let mut buffer = [0.0; TALLEST_TILE * WIDEST_PANEL];
        for rows in self.block.tiles(S::ROWS) {
            let tile = Tile {
                depth: weight.inputs,
                a: x[rows.start * weight.inputs..].as_ptr(),
                a_stride: weight.inputs,
                b: weights.as_ptr(),
                c: buffer.as_mut_ptr(),
                c_stride: S::PANEL,
                accumulate: false,
            };
            // SAFETY: as above, and the buffer holds the largest tile.
            #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
            unsafe {
                S::tile(rows.len(), tile);
            }
            for (row, from) in rows.clone().zip(buffer.chunks_exact(S::PANEL)) {
                let first = row * weight.outputs;
                // SAFETY: this task alone has these rows and columns of the result.
                #[expect(unsafe_code, reason = "the result is cut up among tasks")]
                let to = unsafe { self.block.to.part(first + outputs.start..first + outputs.end) };
                to.copy_from_slice(&from[..outputs.len()]);
            }
            finish.tile::<S>(self.block.to, weight.outputs, rows, outputs.clone());
        }
    }
}
