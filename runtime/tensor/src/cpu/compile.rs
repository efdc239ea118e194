//! From a graph to steps, with weights converted.

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use runtime_graph::{DType, Graph, Op};

use super::{CpuPlan, Step};
use crate::{Error, StoredTensor, Weights};

impl CpuPlan {
    pub(crate) fn compile(graph: &Graph, weights: &dyn Weights) -> Result<Self, Error> {
        let mut plan = Self {
            weights: vec![None; graph.nodes.len()],
            steps: Vec::new(),
            outputs: graph.outputs.iter().map(|output| (output.name.clone(), output.value)).collect(),
            max_sequence: graph.max_sequence,
        };
        let computed_with = computed_with(graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Op::Weight { name } = &node.op {
                plan.weights[index] = Some(load(graph, index, name, weights, computed_with[index])?);
            } else {
                let (op, inputs) = (node.op.clone(), node.inputs.clone());
                let width = node.shape.width().unwrap_or(1) as usize;
                plan.steps.push(Step { node: index, op, inputs, width, last_use: Vec::new() });
            }
        }
        plan.find_last_uses(graph.nodes.len());
        Ok(plan)
    }

    fn find_last_uses(&mut self, nodes: usize) {
        let mut needed_later = vec![false; nodes];
        for (_, value) in &self.outputs {
            needed_later[value.index()] = true;
        }
        for step in self.steps.iter_mut().rev() {
            for input in &step.inputs {
                if !std::mem::replace(&mut needed_later[input.index()], true) {
                    step.last_use.push(*input);
                }
            }
        }
    }
}

/// For each node, whether it is used other than by looking rows up in it.
fn computed_with(graph: &Graph) -> Vec<bool> {
    let mut computed_with = vec![false; graph.nodes.len()];
    for node in &graph.nodes {
        let looked_up = usize::from(node.op == Op::Rows);
        for input in &node.inputs[looked_up..] {
            computed_with[input.index()] = true;
        }
    }
    for output in &graph.outputs {
        computed_with[output.value.index()] = true;
    }
    computed_with
}

/// What is computed with becomes single precision; a table whose rows are looked up stays as it is stored.
fn load(graph: &Graph, node: usize, name: &str, weights: &dyn Weights, computed_with: bool) -> Result<Tensor, Error> {
    let stored = weights.read(name).map_err(|source| Error::Weight { name: name.to_owned(), source })?;
    stored.check(name, &graph.nodes[node].shape)?;
    let tensor = if computed_with { convert(&stored) } else { keep(&stored) };
    tensor.map_err(|source| Error::Operator { operator: "weight", node, source })
}

fn convert(stored: &StoredTensor<'_>) -> candle_core::Result<Tensor> {
    Tensor::from_vec(stored.to_f32(), stored.shape.as_slice(), &Device::Cpu)
}

fn keep(stored: &StoredTensor<'_>) -> candle_core::Result<Tensor> {
    let pairs = stored.bytes.as_chunks().0.iter();
    match stored.dtype {
        DType::F32 => convert(stored),
        DType::F16 => {
            let numbers: Vec<f16> = pairs.map(|bytes| f16::from_le_bytes(*bytes)).collect();
            Tensor::from_vec(numbers, stored.shape.as_slice(), &Device::Cpu)
        }
        DType::BF16 => {
            let numbers: Vec<bf16> = pairs.map(|bytes| bf16::from_le_bytes(*bytes)).collect();
            Tensor::from_vec(numbers, stored.shape.as_slice(), &Device::Cpu)
        }
    }
}
