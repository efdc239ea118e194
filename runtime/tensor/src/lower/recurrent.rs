//! Operators whose result for a token depends on a state behind the token before it.

use runtime_graph::Dim;

use super::step::Step;
use super::{Lowering, Pack, matrix};
use crate::Error;

impl<P: Pack> Lowering<'_, P> {
    pub(super) fn causal_convolution(&mut self, index: usize) -> Result<Step, Error> {
        let node = &self.graph.nodes[index];
        let (_, width) = matrix(node);
        let size = match self.graph.node(node.inputs[1]).shape.dims().last() {
            Some(Dim::Fixed(size)) => *size as usize,
            _ => unreachable!("a recorded convolution has a weight of known sizes"),
        };
        let weight = self.values.vector_by_columns(node.inputs[1], size, &mut self.constants.vectors)?;
        let bias = node.inputs.get(2).map(|bias| self.vector(*bias)).transpose()?;
        let state = self.state((size - 1) * width);
        let x = self.home(node.inputs[0]);
        Ok(Step::CausalConvolution { x, weight, bias, size, state, to: self.buffer_for(index) })
    }

    pub(super) fn selective_scan(&mut self, index: usize) -> Result<Step, Error> {
        let node = &self.graph.nodes[index];
        let (_, width) = matrix(node);
        let (_, states) = matrix(self.graph.node(node.inputs[2]));
        let a = self.values.vector_by_columns(node.inputs[2], states, &mut self.constants.vectors)?;
        let d = node.inputs.get(5).map(|d| self.vector(*d)).transpose()?;
        let state = self.state(states * width);
        let [x, delta, b, c] = [0, 1, 3, 4].map(|operand| self.home(node.inputs[operand]));
        Ok(Step::SelectiveScan { x, delta, a, b, c, d, state, to: self.buffer_for(index) })
    }

    /// The number of a state of so many numbers.
    fn state(&mut self, numbers: usize) -> usize {
        self.states.push(numbers);
        self.states.len() - 1
    }
}
