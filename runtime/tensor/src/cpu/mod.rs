//! The CPU backend.
//!
//! Compiling resolves the graph to steps: weights are converted once, and each step knows which values nobody needs
//! after it. Running walks the steps. Left out: fusion across operators, and one arena for all intermediate values.

mod bridge;
mod compile;
mod kernels;

use candle_core::{DType, Device, Tensor};
use runtime_graph::{Binary, Input, Op, ValueId};

use crate::{Batch, Error, Matrix, Outputs, Plan};
use bridge::{Apply, InPlace, Over};
use kernels::Attention;

/// A graph's steps and weights.
pub(crate) struct CpuPlan {
    /// By node; `None` for what is computed.
    weights: Vec<Option<Tensor>>,
    steps: Vec<Step>,
    outputs: Vec<(String, ValueId)>,
    max_sequence: Option<u32>,
}

/// A node to compute.
struct Step {
    node: usize,
    op: Op,
    inputs: Vec<ValueId>,
    /// Numbers in a row of the result.
    width: usize,
    /// Operands that no later step reads.
    last_use: Vec<ValueId>,
}

/// What can go wrong in a step: the backend, or an index that is outside its table.
enum Fault {
    Candle(candle_core::Error),
    Index { index: u32, count: usize },
}

impl From<candle_core::Error> for Fault {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}

impl Plan for CpuPlan {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        self.check(batch)?;
        let mut values = self.weights.clone();
        for step in &self.steps {
            let value = step.compute(&values, batch).map_err(|fault| step.error(fault))?;
            values[step.node] = Some(value);
            for input in &step.last_use {
                values[input.index()] = None;
            }
        }
        let outputs = self.outputs.iter().map(|(name, value)| {
            let matrix = to_matrix(values[value.index()].as_ref());
            let failed = |source| Error::Operator { operator: "output", node: value.index(), source };
            Ok((name.clone(), matrix.map_err(failed)?))
        });
        outputs.collect::<Result<Vec<_>, _>>().map(Outputs::new)
    }
}

impl CpuPlan {
    fn check(&self, batch: &Batch) -> Result<(), Error> {
        let Some(limit) = self.max_sequence else { return Ok(()) };
        let too_long = batch.spans().map(|span| span.len()).enumerate().find(|(_, tokens)| *tokens > limit as usize);
        too_long.map_or(Ok(()), |(sequence, tokens)| Err(Error::TooLong { sequence, tokens, limit }))
    }
}

impl Step {
    /// The value of the node. Shapes were checked when the graph was recorded.
    fn compute(&self, values: &[Option<Tensor>], batch: &Batch) -> Result<Tensor, Fault> {
        let optional = |index: usize| self.inputs.get(index).and_then(|input| values[input.index()].as_ref());
        let operand = |index: usize| {
            optional(index).ok_or_else(|| candle_core::Error::Msg(format!("operand {index} has no value")))
        };
        let x = || operand(0);
        Ok(match &self.op {
            Op::Input(Input::TokenIds) => vector(batch.token_ids())?,
            Op::Input(Input::Positions { first, padding }) => vector(&batch.positions_from(*first, *padding))?,
            Op::Input(Input::TokenTypes) => vector(batch.token_types())?,
            Op::Weight { name } => return Err(candle_core::Error::Msg(format!("`{name}` was not loaded")).into()),
            Op::Rows => gather(x()?, operand(1)?)?,
            Op::SelectRows => gather(x()?, &vector(batch.rows())?)?,
            Op::Linear => linear(x()?, operand(1)?, optional(2))?,
            Op::LayerNorm { epsilon } => {
                let kernel = |[x, weight, bias]: [&[f32]; 3], to: &mut [f32]| {
                    kernels::layer_norm(x, weight, bias, *epsilon, to);
                };
                let bias = optional(2).map_or_else(|| operand(1)?.zeros_like(), |bias| Ok(bias.clone()))?;
                Over::new("layer-norm", x()?.dims(), kernel).apply([x()?, operand(1)?, &bias])?
            }
            Op::RmsNorm { epsilon } => {
                let (x, weight) = (x()?, numbers(operand(1)?)?);
                let kernel = |[x]: [&[f32]; 1], to: &mut [f32]| kernels::rms_norm(x, &weight, *epsilon, to);
                Over::new("rms-norm", x.dims(), kernel).apply([x])?
            }
            Op::Scale { factor } => (x()? * *factor)?,
            Op::Columns { start, width } => x()?.narrow(1, *start as usize, *width as usize)?.contiguous()?,
            Op::Rotary { head_size, theta } => {
                let positions = batch.positions();
                let kernel = |[x]: [&[f32]; 1], to: &mut [f32]| {
                    kernels::rotary(x, positions, self.width, *head_size as usize, *theta, to);
                };
                Over::new("rotary", x()?.dims(), kernel).apply([x()?])?
            }
            Op::Convolution { groups } => {
                let weight = operand(1)?;
                let (outputs, inner, size) = weight.dims3()?;
                let convolution = kernels::Convolution {
                    weight: &numbers(weight)?,
                    bias: &optional(2).map_or(Ok(vec![0.0; outputs]), numbers)?,
                    groups: *groups as usize,
                    inner,
                    size,
                };
                let kernel = |[x]: [&[f32]; 1], to: &mut [f32]| convolution.run(batch, x, to);
                Over::new("convolution", &[batch.tokens(), outputs], kernel).apply([x()?])?
            }
            Op::Activation(activation) => {
                let kernel = |[x]: [&[f32]; 1], to: &mut [f32]| kernels::activate(*activation, x, to);
                Over::new("activation", x()?.dims(), kernel).apply([x()?])?
            }
            Op::Binary(Binary::Add) => (x()? + operand(1)?)?,
            Op::Binary(Binary::Multiply) => (x()? * operand(1)?)?,
            Op::Attention(options) => {
                let tables = (3..self.inputs.len()).map(|index| numbers(operand(index)?));
                let tables = tables.collect::<candle_core::Result<Vec<_>>>()?;
                let attention = Attention::new(options, batch.offsets(), self.width, &tables);
                let kernel = |[q, k, v]: [&[f32]; 3], to: &mut [f32]| attention.run(q, k, v, to);
                Over::new("attention", x()?.dims(), kernel).apply([x()?, operand(1)?, operand(2)?])?
            }
            Op::Pool(pooling) => {
                let kernel = |[x]: [&[f32]; 1], to: &mut [f32]| kernels::pool(*pooling, batch, self.width, x, to);
                Over::new("pool", &[batch.sequences(), self.width], kernel).apply([x()?])?
            }
        })
    }

    fn error(&self, fault: Fault) -> Error {
        let operator = self.op.name();
        match fault {
            Fault::Candle(source) => Error::Operator { operator, node: self.node, source },
            Fault::Index { index, count } => Error::Index { operator, index, count },
        }
    }
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn vector(ids: &[u32]) -> candle_core::Result<Tensor> {
    Tensor::from_slice(ids, ids.len(), &Device::Cpu)
}

/// `table[ids]` in single precision; the table may be stored in half.
fn gather(table: &Tensor, ids: &Tensor) -> Result<Tensor, Fault> {
    let count = table.dim(0)?;
    if let Some(index) = ids.to_vec1::<u32>()?.into_iter().find(|index| *index as usize >= count) {
        return Err(Fault::Index { index, count });
    }
    Ok(table.index_select(ids, 0)?.to_dtype(DType::F32)?)
}

/// The fewest rows that a product is computed for, so that a row's bits are the same among any number of rows.
///
/// The `gemm` crate (0.19) below candle sums in another order for one row, for at most 256 results, and where rows and
/// outputs are both at most 64. Only heads are so narrow, for which some rows of zeros more cost nothing.
fn least_rows(outputs: usize) -> usize {
    (256 / outputs.max(1) + 1).max(if outputs <= 64 { 65 } else { 2 })
}

/// `x weight^T + bias`.
fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
    let (rows, outputs) = (x.dim(0)?, weight.dim(0)?);
    if rows == 0 {
        return Tensor::zeros((0, outputs), DType::F32, &Device::Cpu);
    }
    let missing = least_rows(outputs).saturating_sub(rows);
    let filled = if missing > 0 { &x.pad_with_zeros(0, 0, missing)? } else { x };
    let product = filled.matmul(&weight.t()?)?.narrow(0, 0, rows)?;
    if let Some(bias) = bias {
        product.inplace_op2(bias, &InPlace::new("add-bias", kernels::add_bias))?;
    }
    Ok(product)
}

fn to_matrix(value: Option<&Tensor>) -> candle_core::Result<Matrix> {
    let value = value.ok_or_else(|| candle_core::Error::Msg("it was not computed".to_owned()))?;
    let (rows, width) = value.dims2()?;
    Ok(Matrix { rows, width, data: value.flatten_all()?.to_vec1()? })
}
