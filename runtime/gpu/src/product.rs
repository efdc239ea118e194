//! Products of activations with weights.

use crate::call::Call;
use crate::elementwise::activation_name;
use crate::{Activation, Buffer, Recorder, Weight};

/// The most rows for which each weight is read for a few rows at a time, rather than for a tile of many.
const FEW: usize = 8;

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
        if rows == 0 || weight.inputs() == 0 {
            // A sum of nothing, which no kernel is made for.
            assert!(rows == 0 || weight.outputs() == 0, "a product has inputs");
            return;
        }
        for slab in &weight.slabs {
            let few = rows <= FEW;
            let call = Call::new(if few { "product_few" } else { "product_many" });
            let vectors = weight.inputs().is_multiple_of(4);
            let call = call
                .flag("vectors", vectors)
                .read("x", if vectors { "vec4<f32>" } else { "f32" }, x)
                .size("rows", rows)
                .size("inputs", weight.inputs())
                .size("outputs", slab.rows)
                .size("first", slab.first)
                .size("width", weight.outputs());
            let call = finish.bind(weight.bind(call, slab)).write("to", "f32", to);
            if few {
                let together = rows.next_power_of_two();
                // Fewer outputs at a time where many rows fill the registers.
                let outputs = (8 / together).clamp(2, 4);
                let chunks = weight.inputs().div_ceil(weight.chunk());
                let threads = chunks.next_power_of_two().clamp(32, MOST_THREADS);
                call.number("rows", together)
                    .number("outputs", outputs)
                    .number("threads", threads)
                    .flag("subgroups", self.gpu.shared.capabilities.subgroups.is_some())
                    .run(self, rows.div_ceil(together) * slab.rows.div_ceil(outputs));
            } else {
                call.run(self, rows.div_ceil(64) * slab.rows.div_ceil(64));
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
