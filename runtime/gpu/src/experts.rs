//! Mixtures of experts: which experts each row goes to, their products, and the sum of what they make of it.
//!
//! Rows are laid out by expert, so that an expert that is chosen reads its weights once for many of its rows. All of it stays
//! on the GPU: what is laid out is cut into tiles of rows of one expert, as many as there could be at most.

use crate::call::Call;
use crate::product::Shape;
use crate::{Buffer, Error, Finish, Recorder, Weight};

/// Rows of a tile where experts have few.
const FEW: usize = 4;

/// Where the rows of a mixture go.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The row at each place, laid out by expert.
    rows: Buffer,
    /// The place of each of a row's experts, `[rows, top_k]`.
    places: Buffer,
    /// The weights of a row's experts, `[rows, top_k]`.
    weights: Buffer,
    /// Expert, first place, and rows of each tile.
    tiles: Buffer,
    shape: Shape,
    tile_count: usize,
    experts: usize,
    top_k: usize,
    /// Rows that are chosen for.
    count: usize,
}

impl Routing {
    /// Rows as they are laid out, each once for each of its experts.
    pub fn places(&self) -> usize {
        self.count * self.top_k
    }
}

impl Recorder {
    /// Chooses the `top_k` experts of the greatest logits for each row of `logits [rows, experts]`, the first of equal ones,
    /// and fills `to [rows * top_k, width]` with the rows of `x [rows, width]` laid out by expert. Their weights are the
    /// softmax over all, with `normalise` divided by the sum of those chosen.
    ///
    /// # Errors
    /// Where there is no memory for it, or the GPU is lost.
    #[expect(clippy::too_many_arguments, reason = "two matrices with their sizes, and two settings")]
    pub fn route(
        &mut self,
        logits: &Buffer,
        rows: usize,
        experts: usize,
        top_k: usize,
        normalise: bool,
        x: &Buffer,
        width: usize,
        to: &Buffer,
    ) -> Result<Routing, Error> {
        assert!((1..=experts).contains(&top_k), "{top_k} of {experts} experts");
        logits.holds(rows * experts);
        let choices = rows * top_k;
        let shape = if choices > FEW * experts {
            Shape::many(choices / experts)
        } else {
            Shape::Few { rows: if rows == 1 { 1 } else { FEW } }
        };
        let tile_count = choices.min(choices.div_ceil(shape.rows()) + experts.min(choices));
        let room = |count: usize| self.gpu.scratch(4 * count);
        let (chosen, weights) = (room(choices)?, room(choices)?);
        let routing = Routing {
            rows: room(choices)?,
            places: room(choices)?,
            weights,
            tiles: room(4 * tile_count)?,
            shape,
            tile_count,
            experts,
            top_k,
            count: rows,
        };
        Call::new("expert_weights")
            .flag("normalise", normalise)
            .read("logits", "f32", logits)
            .write("chosen", "u32", &chosen)
            .write("weights", "f32", &routing.weights)
            .size("experts", experts)
            .size("top_k", top_k)
            .run_each(self, rows, 32);
        Call::new("expert_layout")
            .number("experts", experts)
            .number("tile", shape.rows())
            .read("chosen", "u32", &chosen)
            .write("rows", "u32", &routing.rows)
            .write("places", "u32", &routing.places)
            .write("tiles", "vec4<u32>", &routing.tiles)
            .size("choices", choices)
            .size("top_k", top_k)
            .size("tiles", tile_count)
            .run(self, choices.min(1));
        self.select_rows(x, width, &routing.rows, choices, to);
        Ok(routing)
    }

    /// Fills `to [places, outputs]` with the products of `x [places, inputs]`, laid out by expert, with each one's expert:
    /// `weight` is that of all experts stacked, `[experts * outputs, inputs]`.
    /// There is no bias.
    pub fn expert_products(
        &mut self,
        routing: &Routing,
        x: &Buffer,
        weight: &Weight,
        finish: &Finish<'_>,
        to: &Buffer,
    ) {
        let (places, outputs) = (routing.places(), weight.outputs() / routing.experts);
        assert_eq!(weight.outputs(), outputs * routing.experts, "as many rows for each expert");
        x.holds(places * weight.inputs());
        to.holds(places * outputs);
        assert!(finish.bias.is_none(), "experts have no bias");
        finish.check(places, outputs);
        let shape = routing.shape.on(&self.gpu, weight, places);
        let Some(x) = self.operand(shape, x, places, weight) else { return };
        for slab in &weight.slabs {
            let call = shape
                .call(&x, weight, slab, finish, to)
                .flag("experts", true)
                .flag("split", false)
                .read("tiles", "vec4<u32>", &routing.tiles)
                .size("outputs", outputs)
                .size("held", slab.rows)
                .size("width", outputs);
            shape.run(self, call, weight, routing.tile_count, outputs);
        }
    }

    /// Fills `to [rows, width]` with the weighted sums of what is at each row's places in `x [places, width]`.
    pub fn mix(&mut self, routing: &Routing, x: &Buffer, width: usize, to: &Buffer) {
        x.holds(routing.places() * width);
        to.holds(routing.count * width);
        Call::new("expert_sum")
            .read("x", "f32", x)
            .read("weights", "f32", &routing.weights)
            .read("places", "u32", &routing.places)
            .write("to", "f32", to)
            .size("width", width)
            .size("top_k", routing.top_k)
            .run_each(self, routing.count * width, 128);
    }
}
