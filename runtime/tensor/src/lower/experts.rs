//! Mixtures of experts: rows are laid out by expert, go through the products of their experts, and are summed.

use runtime_graph::ExpertsOptions;

use super::pack::Pack;
use super::step::Step;
use super::{Lowering, matrix};
use crate::Error;

impl<P: Pack> Lowering<'_, P> {
    /// Emits the steps before the last, which it returns.
    pub(super) fn experts(&mut self, index: usize, options: ExpertsOptions) -> Result<Step, Error> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let (x, logits) = (self.whole(node.inputs[0]), self.whole(node.inputs[1]));
        let (_, inner) = matrix(graph.node(node.inputs[4]));
        let (hidden, top_k) = (x.width, options.top_k as usize);
        // The matrices of one kind, of all experts.
        let mut weights = |kind: usize, outputs: usize, inputs: usize| -> Result<Vec<usize>, Error> {
            let all = node.inputs[2 + kind..].iter().step_by(3);
            match P::STACKS {
                true => Ok(vec![self.packed_stack(all.copied(), outputs, inputs)?]),
                false => all.map(|weight| self.packed_matrix(*weight, outputs, inputs)).collect(),
            }
        };
        let (gate, up, down) = (weights(0, inner, hidden)?, weights(1, inner, hidden)?, weights(2, hidden, inner)?);
        let mut rows = |width: usize| self.buffer(x.rows, top_k * width);
        let (laid_out, gated, inner, made) = (rows(hidden), rows(inner), rows(inner), rows(hidden));
        let products = |x, weights, activation, factor, to| Step::ExpertProducts { x, weights, activation, factor, to };
        self.steps.extend([
            Step::Route { logits, x, top_k, normalise: options.normalise, to: laid_out },
            products(laid_out, gate, Some(options.activation), None, gated),
            products(laid_out, up, None, Some(gated), inner),
            products(inner, down, None, None, made),
        ]);
        Ok(Step::Mix { x: made, to: self.buffer_for(index) })
    }
}
