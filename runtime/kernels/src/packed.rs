//! Weights of products, laid out once in the order in which the kernel reads them.
//!
//! The outputs of a weight `[outputs, inputs]` are cut into panels of a tile's width; a panel holds, for each input in
//! turn, its weights to the panel's outputs, so that the kernel reads memory from front to back. The last panel is
//! filled up with zeros.

use half::bf16;
use rayon::prelude::*;

use crate::aligned::{Aligned, Number};
use crate::blocks::BlockType;
use crate::blocks::panel::{self, Panels};
use crate::rows::by_rows;
use crate::simd::Isa;
use crate::team::Team;

/// The largest weight in bytes: four times the product of it and the largest activation, 127, is below 2^15.
const LARGEST: f32 = 63.0;

/// How far an input's balance may be from 1.
const BALANCE: f32 = 4.0;

/// How the numbers of a weight are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// The upper half of a single, widened in the kernel; sums are in single precision.
    Bf16,
    /// Whole numbers from -63 to 63 with a factor for each output. Activations become numbers from 0 to 127, with a factor
    /// and a zero point for each row, and sums are exact: with 7 bits each, four products stay within the 16 bits in which
    /// AVX2 adds them up.
    ///
    /// Before that, each input is multiplied and its weights are divided by the square root of its weights' root mean square
    /// (over the mean of all inputs'), after SmoothQuant (<https://arxiv.org/abs/2211.10438>) but from weights alone: the
    /// inputs that matter most get the finest steps.
    Int8,
}

/// A packed weight `[outputs, inputs]`.
pub struct Packed {
    pub(crate) isa: Isa,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) numbers: Numbers,
}

pub(crate) enum Numbers {
    F32(Aligned<f32>),
    Bf16(Aligned<bf16>),
    Int8(Integers),
    Blocks(Panels),
}

/// `balance[i] * weight[o, i] = scales[o] * weights[o, i]`, with the sum over `i` for each output.
pub(crate) struct Integers {
    /// Of each input, as the rows that were set first have it.
    pub(crate) balance: Aligned<f32>,
    /// `[panels, inputs / GROUP, panel, GROUP]`
    pub(crate) weights: Aligned<i8>,
    pub(crate) scales: Aligned<f32>,
    pub(crate) sums: Aligned<i32>,
}

impl Packed {
    /// A weight of zeros for the best instruction set of this processor.
    pub fn zeros(precision: Precision, outputs: usize, inputs: usize) -> Self {
        Self::zeros_for(Isa::best(), precision, outputs, inputs)
    }

    /// A weight of zeros for an instruction set.
    pub fn zeros_for(isa: Isa, precision: Precision, outputs: usize, inputs: usize) -> Self {
        let padded = outputs.next_multiple_of(isa.panel());
        let numbers = match precision {
            Precision::F32 => Numbers::F32(Aligned::zeros(padded * inputs)),
            Precision::Bf16 => Numbers::Bf16(Aligned::zeros(padded * inputs)),
            Precision::Int8 => Numbers::Int8(Integers {
                balance: Aligned::zeros(inputs),
                weights: Aligned::zeros(padded * inputs.next_multiple_of(isa.group())),
                scales: Aligned::zeros(padded),
                sums: Aligned::zeros(padded),
            }),
        };
        Self { isa, outputs, inputs, numbers }
    }

    /// A weight from its rows `[outputs, inputs]`.
    pub fn new(precision: Precision, weight: &[f32], inputs: usize) -> Self {
        let mut packed = Self::zeros(precision, weight.len() / inputs.max(1), inputs);
        packed.set(0, weight);
        packed
    }

    /// A weight from rows of `inputs` numbers in blocks, which come one after the other in `pieces`. They stay in blocks.
    pub fn of_blocks(kind: BlockType, inputs: usize, pieces: &[&[u8]]) -> Self {
        Self::of_blocks_for(Isa::best(), kind, inputs, pieces)
    }

    /// The same for an instruction set.
    pub fn of_blocks_for(isa: Isa, kind: BlockType, inputs: usize, pieces: &[&[u8]]) -> Self {
        let row = inputs / kind.elements() * kind.bytes();
        let outputs = pieces.iter().map(|piece| piece.len() / row.max(1)).sum();
        Self { isa, outputs, inputs, numbers: Numbers::Blocks(Panels::new(kind, inputs, pieces)) }
    }

    /// Fills `to [ids, inputs]` with the rows of a weight in blocks at `ids`, or adds them to it.
    pub fn look_up(&self, team: &Team<'_>, ids: &[u32], add: bool, to: &mut [f32]) {
        let Numbers::Blocks(panels) = &self.numbers else { panic!("only weights in blocks are looked up") };
        by_rows(team, self.inputs, to, &|range, to| {
            for (id, to) in ids[range].iter().zip(to.chunks_exact_mut(self.inputs)) {
                panels.row(*id as usize, add, to);
            }
        });
    }

    /// Sets the weights, which are not in blocks, of the outputs from `first` on to the rows of `weight [.., inputs]`.
    pub fn set(&mut self, first: usize, weight: &[f32]) {
        let (panel, inputs) = (self.isa.panel(), self.inputs);
        if inputs == 0 {
            return;
        }
        assert!(first + weight.len() / inputs <= self.outputs, "no more rows than the weight has outputs");
        let rows = Rows { first, weight, inputs, panel };
        match &mut self.numbers {
            Numbers::F32(numbers) => rows.interleave(numbers, |x| x),
            Numbers::Bf16(numbers) => rows.interleave(numbers, bf16::from_f32),
            Numbers::Int8(integers) => {
                if first == 0 && !weight.is_empty() {
                    balance(weight, &mut integers.balance);
                }
                rows.quantize(integers, self.isa.group());
            }
            Numbers::Blocks(_) => panic!("a weight in blocks is not changed"),
        }
    }

    /// Outputs of the product.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Inputs of the product.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs that are computed together.
    pub(crate) fn panel(&self) -> usize {
        if matches!(self.numbers, Numbers::Blocks(_)) { panel::PANEL } else { self.isa.panel() }
    }

    /// The most rows that are.
    pub(crate) fn rows(&self) -> usize {
        if matches!(self.numbers, Numbers::Blocks(_)) { self.isa.block_rows() } else { self.isa.rows() }
    }
}

/// Fills `to [inputs]` with what the inputs of `weight [outputs, inputs]` are multiplied by.
fn balance(weight: &[f32], to: &mut [f32]) {
    for row in weight.chunks_exact(to.len()) {
        for (to, x) in to.iter_mut().zip(row) {
            *to += x * x;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let count = to.len() as f32;
    let mean = to.iter().map(|squares| squares.sqrt()).sum::<f32>() / count;
    for to in to {
        let relative = to.sqrt() / mean;
        // Not so where all weights are 0.
        *to = if relative.is_finite() { relative.sqrt().clamp(1.0 / BALANCE, BALANCE) } else { 1.0 };
    }
}

/// Rows to be packed, and where they go.
struct Rows<'a> {
    first: usize,
    weight: &'a [f32],
    inputs: usize,
    panel: usize,
}

impl Rows<'_> {
    /// The rows that lie in a panel, each with its column there.
    fn of_panel(&self, panel: usize) -> impl Iterator<Item = (usize, &[f32])> {
        let outputs = panel * self.panel..(panel + 1) * self.panel;
        let count = self.weight.len() / self.inputs;
        let here = outputs.start.max(self.first)..outputs.end.min(self.first + count);
        here.map(move |output| {
            let row = &self.weight[(output - self.first) * self.inputs..][..self.inputs];
            (output - outputs.start, row)
        })
    }

    fn interleave<T: Number>(&self, to: &mut [T], convert: impl Fn(f32) -> T + Sync) {
        to.par_chunks_mut(self.panel * self.inputs).enumerate().for_each(|(panel, to)| {
            for (column, row) in self.of_panel(panel) {
                for (to, x) in to[column..].iter_mut().step_by(self.panel).zip(row) {
                    *to = convert(*x);
                }
            }
        });
    }

    fn quantize(&self, to: &mut Integers, group: usize) {
        let words = self.inputs.div_ceil(group);
        let panels = to.weights.par_chunks_mut(self.panel * words * group);
        let factors = to.scales.par_chunks_mut(self.panel).zip(to.sums.par_chunks_mut(self.panel));
        let balance = &to.balance;
        panels.zip(factors).enumerate().for_each(|(panel, (to, (scales, sums)))| {
            for (column, row) in self.of_panel(panel) {
                let balanced = row.iter().zip(balance.iter()).map(|(x, balance)| x / balance);
                let largest = balanced.clone().fold(0.0f32, |largest, x| largest.max(x.abs()));
                let scale = largest / LARGEST;
                let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                scales[column] = scale;
                sums[column] = 0;
                for (index, x) in balanced.enumerate() {
                    #[expect(clippy::cast_possible_truncation, reason = "it lies between -63 and 63")]
                    let byte = (x * factor).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
                    to[(index / group * self.panel + column) * group + index % group] = byte;
                    sums[column] += i32::from(byte);
                }
            }
        });
    }
}
