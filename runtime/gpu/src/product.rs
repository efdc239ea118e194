//! Products of activations with weights.

use crate::call::Call;
use crate::cooperative::{self, Cooperative, Operand};
use crate::elementwise::activation_name;
use crate::weight::{Reading, Slab};
use crate::{Activation, Buffer, Gpu, Recorder, Weight};

/// The most rows for which a workgroup has a few outputs, rather than a tile of many.
const FEW: usize = 16;

/// Of those, the most that a workgroup takes together.
const TOGETHER: usize = 8;

/// Workgroups with tiles of many that keep a large GPU busy.
const GROUPS: usize = 256;

/// The fewest inputs that such a workgroup has.
const LEAST_INPUTS: usize = 256;

/// Inputs that it has in shared memory at once.
const STEP: usize = 16;

/// Chunks of a row that each thread of such a workgroup should have at least: adding up what threads have takes time too.
const CHUNKS: usize = 4;

/// The most threads of a workgroup for few rows.
const MOST_THREADS: usize = 128;

/// What follows a product: `activation(product + bias) * factor + add`, each of them where it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish<'a> {
    /// `[outputs]`
    pub bias: Option<&'a Buffer>,
    /// Applied to each number.
    pub activation: Option<Activation>,
    /// `[rows, outputs]`
    pub factor: Option<&'a Buffer>,
    /// `[rows, outputs]`
    pub add: Option<&'a Buffer>,
}

impl Recorder {
    /// Fills `to [rows, outputs]` from `x [rows, inputs]`; `to` is none of the operands.
    pub fn product(&mut self, x: &Buffer, rows: usize, weight: &Weight, finish: &Finish<'_>, to: &Buffer) {
        x.holds(rows * weight.inputs());
        to.holds(rows * weight.outputs());
        finish.check(rows, weight.outputs());
        let shape = Shape::of(rows, &self.gpu, weight);
        let Some(x) = self.operand(shape, x, rows, weight) else { return };
        let row_tiles = rows.div_ceil(shape.rows());
        let parts = shape.parts(rows, weight);
        let sums = if parts > 1 {
            let Some(sums) = self.own_scratch(4 * parts * rows * weight.outputs()) else { return };
            Some(sums)
        } else {
            None
        };
        for slab in &weight.slabs {
            let call = match &sums {
                None => shape.call(&x, weight, slab, finish, to).flag("split", false),
                Some(sums) => shape
                    .call(&x, weight, slab, &Finish::default(), sums)
                    .flag("split", true)
                    .size("parts", parts)
                    .size("span", weight.inputs().div_ceil(parts).next_multiple_of(shape.step())),
            };
            let call = call
                .flag("experts", false)
                .size("rows", rows)
                .size("outputs", slab.rows)
                .size("width", weight.outputs());
            shape.run(self, call, weight, row_tiles * parts, slab.rows);
        }
        if let Some(sums) = &sums {
            finish
                .bind(Call::new("product_join").read("parts", "f32", sums))
                .write("to", "f32", to)
                .size("parts", parts)
                .size("width", weight.outputs())
                .run_each(self, rows * weight.outputs(), 128);
        }
    }
}

/// Rows and outputs that a workgroup computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// So many rows for a few outputs.
    Few { rows: usize },
    /// A tile of many.
    Many { rows: usize, outputs: usize },
    /// A tile of many, by cooperative matrices.
    Cooperative { rows: usize, outputs: usize, matrices: Cooperative },
}

impl Shape {
    /// That of a product with so many rows.
    fn of(rows: usize, gpu: &Gpu, weight: &Weight) -> Self {
        if rows <= FEW {
            return Self::few(rows);
        }
        match Self::many(rows).on(gpu, weight, rows) {
            Self::Cooperative { outputs, matrices, .. }
                if rows > 64 && matrices.side == 16 && cooperative::fits(gpu, weight, rows + 128) =>
            {
                Self::Cooperative { rows: 128, outputs, matrices }
            }
            other => other,
        }
    }

    /// So few that they are taken together.
    pub(crate) fn few(rows: usize) -> Self {
        Self::Few { rows: rows.next_power_of_two().min(TOGETHER) }
    }

    /// A tile for more than a few rows.
    pub(crate) fn many(rows: usize) -> Self {
        if rows <= 32 { Self::Many { rows: 32, outputs: 64 } } else { Self::Many { rows: 64, outputs: 64 } }
    }

    /// The same tiles by cooperative matrices, where there are some and they take the weight and so many rows.
    pub(crate) fn on(self, gpu: &Gpu, weight: &Weight, count: usize) -> Self {
        match (self, gpu.capabilities().cooperative) {
            (Self::Many { rows, .. }, Some(matrices))
                if weight.halves() && cooperative::fits(gpu, weight, count + rows) =>
            {
                // Four or eight matrices of sums for each subgroup: more small ones are compiled for seconds.
                Self::Cooperative { rows, outputs: 4 * matrices.side, matrices }
            }
            _ => self,
        }
    }

    /// How many rows.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Few { rows } | Self::Many { rows, .. } | Self::Cooperative { rows, .. } => rows,
        }
    }

    /// Inputs that it takes at once.
    fn step(self) -> usize {
        if matches!(self, Self::Cooperative { .. }) { cooperative::STEP } else { STEP }
    }

    /// Workgroups that share the inputs of a tile, where there would be too few to fill a GPU.
    fn parts(self, rows: usize, weight: &Weight) -> usize {
        match self {
            Self::Few { .. } => 1,
            Self::Many { rows: tile, outputs } | Self::Cooperative { rows: tile, outputs, .. } => {
                let groups = rows.div_ceil(tile) * weight.outputs().div_ceil(outputs);
                (GROUPS / groups.max(1)).clamp(1, weight.inputs().div_ceil(LEAST_INPUTS).max(1))
            }
        }
    }

    /// What all products are given.
    pub(crate) fn call<'a>(
        self,
        x: &'a Operand,
        weight: &Weight,
        slab: &'a Slab,
        finish: &Finish<'a>,
        to: &'a Buffer,
    ) -> Call<'a> {
        assert!(weight.inputs() > 0, "a product has inputs");
        let (kernel, reading) = match self {
            Self::Few { .. } => ("product_few", Reading::Chunks),
            Self::Many { .. } => ("product_many", Reading::Fours),
            Self::Cooperative { .. } => ("product_cooperative", Reading::Halves),
        };
        let call = x.bind(Call::new(kernel), weight.inputs()).size("first", slab.first);
        finish.bind(weight.bind(call, slab, reading)).write("to", "f32", to)
    }

    /// Records the call for so many tiles of rows, and outputs of each.
    pub(crate) fn run(
        self,
        recorder: &mut Recorder,
        call: Call<'_>,
        weight: &Weight,
        row_tiles: usize,
        all_outputs: usize,
    ) {
        let subgroups = recorder.gpu.shared.capabilities.subgroups.is_some();
        self.constants(call, weight, subgroups).run(recorder, row_tiles * all_outputs.div_ceil(self.outputs()));
    }

    /// Outputs that a workgroup computes.
    fn outputs(self) -> usize {
        match self {
            // Fewer at a time where many rows fill the registers.
            Self::Few { rows } => (8 / rows.max(1)).clamp(2, 4),
            Self::Many { outputs, .. } | Self::Cooperative { outputs, .. } => outputs,
        }
    }

    /// What a kernel is compiled for.
    pub(crate) fn constants<'a>(self, call: Call<'a>, weight: &Weight, subgroups: bool) -> Call<'a> {
        let call = call.number("rows", self.rows()).number("outputs", self.outputs());
        match self {
            Self::Few { .. } => {
                let chunks = weight.inputs().div_ceil(weight.chunk());
                call.number("threads", (chunks / CHUNKS).next_power_of_two().clamp(32, MOST_THREADS))
                    .flag("subgroups", subgroups)
            }
            Self::Many { rows, .. } => call.number("each_rows", rows / 8).number("each_outputs", 8),
            Self::Cooperative { matrices: Cooperative { side, lanes }, .. } => {
                call.number("step", 2 * side).number("side", side).number("lanes", lanes)
            }
        }
    }
}

impl<'a> Finish<'a> {
    pub(crate) fn check(&self, rows: usize, outputs: usize) {
        self.bias.iter().for_each(|bias| bias.holds(outputs));
        [self.factor, self.add].iter().flatten().for_each(|matrix| matrix.holds(rows * outputs));
    }

    pub(crate) fn bind(&self, call: Call<'a>) -> Call<'a> {
        call.maybe("bias", "f32", self.bias)
            .maybe("factor", "f32", self.factor)
            .maybe("add", "f32", self.add)
            .text("activation", self.activation.map_or("", activation_name))
    }
}
