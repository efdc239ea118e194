//! One run: steps as tensor operations.

use std::collections::HashMap;
use std::rc::Rc;

use candle_core::{D, Tensor};
use runtime_graph::{Activation, Binary, Dim};
use runtime_kernels::{BLOCK, Routing, Team};

use super::blocks::put;
use super::pool::{look_up, neighbours, pool};
use super::sight::{Over, Sight, Sighted};
use super::tabled::Tabled;
use super::{CandleBlocks, CandlePlan};
use crate::cpu::shortlist;
use crate::lower::{AdaptedRows, Follow, Home, Ids, Lookup, Normalise, Output, Program, Source, Step, count};
use crate::{Batch, Error, Matrix, Rows};

/// A run on its way through the steps.
pub(super) struct Run<'a> {
    pub(super) plan: &'a CandlePlan,
    batch: &'a Batch,
    blocks: Option<&'a CandleBlocks>,
    pub(super) tabled: &'a mut Tabled,
    pub(super) adapters: Vec<AdaptedRows>,
    /// Values `[rows, width]`; none of those without rows, of which CUDA has no tensors.
    slots: Vec<Option<Tensor>>,
    ids: Vec<(Ids, Tensor)>,
    /// Cosines and sines of the tokens, by the number of their angles.
    turned: HashMap<usize, [Tensor; 2]>,
    sights: Vec<(Sight, Rc<Sighted>)>,
    /// What distances add, by the numbers of the sight, its group, and the distances.
    pub(super) distant: HashMap<(usize, usize, usize), Tensor>,
    /// Rows of blocks that the tokens are kept in.
    kept_rows: Option<Tensor>,
    /// The experts of the mixture that is being computed.
    routing: Routing,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        plan: &'a CandlePlan,
        program: &Program,
        batch: &'a Batch,
        blocks: Option<&'a CandleBlocks>,
        tabled: &'a mut Tabled,
    ) -> Self {
        Self {
            plan,
            batch,
            blocks,
            tabled,
            adapters: AdaptedRows::of(batch),
            slots: vec![None; program.layout.slots.len()],
            ids: Vec::new(),
            turned: HashMap::new(),
            sights: Vec::new(),
            distant: HashMap::new(),
            kept_rows: None,
            routing: Routing::default(),
        }
    }

    /// Takes what other parts of a model have computed.
    pub(super) fn receive(&mut self, steps: &[Step], received: &[&Matrix]) -> Result<(), Error> {
        for step in steps {
            let Step::Receive { number, to } = step else { break };
            let Matrix { rows, width, data } = received[*number];
            if !data.is_empty() {
                self.slots[to.slot] = Some(Tensor::from_slice(data, (*rows, *width), &self.plan.device.raw)?);
            }
        }
        Ok(())
    }

    /// Computes a step; the batch has been checked.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Error> {
        if let Step::Receive { .. } = step {
            // It is there before the first step.
            return Ok(());
        }
        let Some(to) = step.to() else {
            return self.keep_sources(step);
        };
        let rows = count(self.batch, to.rows);
        self.slots[to.slot] = match rows * to.width {
            0 => None,
            _ => Some(self.compute(step, rows)?),
        };
        Ok(())
    }

    fn compute(&mut self, step: &Step, rows: usize) -> Result<Tensor, Error> {
        let (plan, batch) = (self.plan, self.batch);
        let device = &plan.device.raw;
        Ok(match step {
            Step::LookUp { parts, norm, .. } => {
                let mut sum: Option<Tensor> = None;
                for part in parts {
                    let ids = self.ids(part.ids)?;
                    let Lookup::Packed(table) = plan.lowered.constants.tables[part.table].table else {
                        unreachable!("tables are packed for tensors")
                    };
                    let rows = plan.lowered.constants.packed[table].rows(&ids)?;
                    sum = Some(match sum {
                        Some(sum) => (sum + rows)?,
                        None => rows,
                    });
                }
                self.normalise(*norm, sum.expect("a look-up has a table"))?
            }
            Step::Product { x, weight, number, follow, to } => {
                let x = self.slot(*x);
                let product = plan.lowered.constants.packed[*weight].product(x)?;
                if let Some(number) = number {
                    self.adapt(*number, to.rows, x, &product)?;
                }
                self.follow(follow, product)?
            }
            Step::Attention { q, k, v, heads, place, .. } => {
                let [q, k, v] = [q, k, v].map(|home| self.columns(*home));
                let (q, k, v) = (q?, k?, v?);
                match self.blocks.zip(*place) {
                    None => self.attend(Over::Batch, heads, &q, [&k, &v])?,
                    Some((blocks, place)) => {
                        let kept = &blocks.texts()[place];
                        self.keep(kept, [&k, &v])?;
                        self.attend(Over::Kept, heads, &q, [&kept[0], &kept[1]])?
                    }
                }
            }
            Step::CrossAttention { q, heads, place, .. } => {
                let kept = &self.blocks.ok_or(Error::OtherCache)?.sources()[*place];
                let q = self.columns(*q)?;
                self.attend(Over::Sources, heads, &q, [&kept[0], &kept[1]])?
            }
            Step::Keep { .. } => unreachable!("it writes no value"),
            Step::Receive { .. } => unreachable!("it is there before the first step"),
            Step::CausalConvolution { .. } | Step::SelectiveScan { .. } => {
                return Err(Error::NotOnGpu { what: STATES });
            }
            Step::Norm { x, norm, .. } => self.normalise(Some(*norm), self.slot(*x).clone())?,
            Step::Activation { x, activation, .. } => activated(*activation, self.slot(*x))?,
            Step::Binary { binary, a, b, .. } => match binary {
                Binary::Add => (self.slot(*a) + self.slot(*b))?,
                Binary::Multiply => (self.slot(*a) * self.slot(*b))?,
            },
            Step::Scale { x, factor, .. } => (self.slot(*x) * f64::from(*factor))?,
            Step::ScaleRows { x, factors, .. } => self.slot(*x).broadcast_mul(self.slot(*factors))?,
            // It is changed in place later, and may not share its memory.
            Step::Copy { x, .. } => self.slot(*x).narrow(1, x.first, x.columns)?.force_contiguous()?,
            Step::Join { a, b, parts, to } => {
                let in_parts = |x: &Home| -> Result<Tensor, Error> {
                    Ok(self.columns(*x)?.reshape((rows, *parts, x.columns / parts))?)
                };
                Tensor::cat(&[in_parts(a)?, in_parts(b)?], 2)?.reshape((rows, to.width))?
            }
            Step::Rotary { x, angles, frequencies, head_size } => self.rotary(*x, *angles, *frequencies, *head_size)?,
            Step::Neighbours { x, size, .. } => {
                neighbours(batch, self.slot(*x), *size, device)?.reshape((rows, size * x.width))?
            }
            Step::Convolution { x, weight, bias, groups, size, to } => {
                let (inner, group) = (x.width / groups, to.width / groups);
                let near = neighbours(batch, self.slot(*x), *size, device)?;
                let near = near.reshape((rows, *size, *groups, inner))?.permute((2, 0, 1, 3))?.contiguous()?;
                let weight = plan.vectors[*weight].reshape((*groups, group, inner, *size))?.permute((0, 3, 2, 1))?;
                let weight = weight.contiguous()?.reshape((*groups, size * inner, group))?;
                // CUDA has no convolution in groups: each group is a product of its own.
                let sums = near.reshape((*groups, rows, size * inner))?.matmul(&weight)?;
                let sums = sums.transpose(0, 1)?.reshape((rows, to.width))?;
                match bias {
                    Some(bias) => sums.broadcast_add(&plan.vectors[*bias])?,
                    None => sums,
                }
            }
            Step::Pool { pooling, x, .. } => match &self.slots[x.slot] {
                Some(rows) => pool(*pooling, batch, rows, device)?,
                None => Tensor::zeros((rows, x.width), candle_core::DType::F32, device)?,
            },
            Step::Select { x, .. } => look_up(self.slot(*x), batch.rows(), device)?,
            Step::Route { logits, x, top_k, normalise, to } => {
                // The experts of each row decide which products there are, so that the host must know.
                let of_experts = self.slot(*logits).flatten_all()?.to_vec1::<f32>()?;
                let routing = &mut self.routing;
                Team::of_pool(|team| routing.choose(team, &of_experts, logits.width, *top_k, *normalise));
                look_up(self.slot(*x), self.routing.rows(), device)?.reshape((rows, to.width))?
            }
            Step::ExpertProducts { x, weights, activation, factor, .. } => {
                let x = self.slot(*x).reshape((rows * self.top_k(rows), ()))?;
                let products = self.routing.experts().map(|(expert, places)| {
                    let product = plan.lowered.constants.packed[weights[expert]].product(&x.narrow(
                        0,
                        places.start,
                        places.len(),
                    )?)?;
                    Ok(product)
                });
                let mut all = Tensor::cat(&products.collect::<Result<Vec<_>, Error>>()?, 0)?.reshape((rows, ()))?;
                if let Some(activation) = activation {
                    all = activated(*activation, &all)?;
                }
                match factor {
                    Some(factor) => (all * self.slot(*factor))?,
                    None => all,
                }
            }
            Step::Mix { x, to } => {
                let top_k = self.top_k(rows);
                let made = self.slot(*x).reshape((rows * top_k, to.width))?;
                let made = look_up(&made, self.routing.places(), device)?.reshape((rows, top_k, to.width))?;
                let weights = Tensor::from_slice(self.routing.weights(), (rows, top_k, 1), device)?;
                made.broadcast_mul(&weights)?.sum(1)?
            }
        })
    }

    /// Reads results back.
    pub(super) fn finish(self, outputs: &[Output]) -> Result<Vec<Rows>, Error> {
        let result = |output: &Output| -> Result<Rows, Error> {
            let home = match &output.from {
                Source::Constant(matrix) => return Ok(Rows { whole: matrix.clone(), shortlists: Vec::new() }),
                Source::Computed(home) => home,
            };
            let data: Vec<f32> = match self.slots[home.slot] {
                Some(_) => self.columns(*home)?.flatten_all()?.to_vec1()?,
                None => Vec::new(),
            };
            // Candle has no kernel for the greatest of long rows on CUDA: they are read back, and cut short here.
            if home.rows == Dim::Rows && home.columns == home.width && !self.batch.wants_rows() {
                return Ok(shortlist::read(&data, home.width, self.batch));
            }
            let whole = Matrix { rows: count(self.batch, home.rows), width: home.columns, data };
            Ok(Rows { whole, shortlists: Vec::new() })
        };
        outputs.iter().map(result).collect()
    }

    fn top_k(&self, rows: usize) -> usize {
        self.routing.places().len() / rows
    }

    /// A value that has its matrix to itself.
    fn slot(&self, home: Home) -> &Tensor {
        self.slots[home.slot].as_ref().expect("it was written by an earlier step")
    }

    fn columns(&self, home: Home) -> Result<Tensor, Error> {
        // Its rows are looked up, or taken apart into heads, for which it is contiguous.
        Ok(self.slot(home).narrow(1, home.first, home.columns)?.contiguous()?)
    }

    fn follow(&self, follow: &Follow, product: Tensor) -> Result<Tensor, Error> {
        let mut result = product;
        if let Some(bias) = follow.bias {
            result = result.broadcast_add(&self.plan.vectors[bias])?;
        }
        if let Some(activation) = follow.activation {
            result = activated(activation, &result)?;
        }
        if let Some(factor) = follow.factor {
            result = (result * self.slot(factor))?;
        }
        if let Some(add) = follow.add {
            result = (result + self.slot(add))?;
        }
        self.normalise(follow.norm, result)
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision")]
    fn normalise(&self, norm: Option<Normalise>, x: Tensor) -> Result<Tensor, Error> {
        let Some(Normalise { centred, weight, bias, epsilon }) = norm else { return Ok(x) };
        let (weight, bias) = (&self.plan.vectors[weight], bias.map(|bias| &self.plan.vectors[bias]));
        let (shape, together) = (x.shape().clone(), weight.dims()[0]);
        let x = x.reshape(((), together))?;
        let result = match (centred, bias) {
            (true, Some(bias)) => candle_nn::ops::layer_norm(&x, weight, bias, epsilon as f32)?,
            (true, None) => candle_nn::ops::layer_norm(&x, weight, &weight.zeros_like()?, epsilon as f32)?,
            (false, None) => candle_nn::ops::rms_norm(&x, weight, epsilon as f32)?,
            (false, Some(bias)) => candle_nn::ops::rms_norm(&x, weight, epsilon as f32)?.broadcast_add(bias)?,
        };
        Ok(result.reshape(shape)?)
    }

    /// Turns columns of a matrix in place, and returns it.
    fn rotary(&mut self, x: Home, angles: usize, frequencies: usize, head_size: usize) -> Result<Tensor, Error> {
        let [cosines, sines] = self.turned(angles, frequencies)?;
        let (rows, turned) = (cosines.dims()[0], 2 * frequencies);
        let heads = x.columns / head_size;
        let columns = self.columns(x)?.reshape((1, rows, heads, head_size))?;
        let result =
            candle_nn::rotary_emb::rope_thd(&columns.narrow(D::Minus1, 0, turned)?.contiguous()?, &cosines, &sines)?;
        let result = match head_size - turned {
            0 => result,
            rest => Tensor::cat(&[&result, &columns.narrow(D::Minus1, turned, rest)?], D::Minus1)?,
        };
        let result = result.reshape((rows, x.columns))?;
        if x.columns == x.width {
            return Ok(result);
        }
        let matrix = self.slot(x);
        matrix.slice_set(&result, 1, x.first)?;
        Ok(matrix.clone())
    }

    /// Cosines and sines of the tokens.
    fn turned(&mut self, angles: usize, frequencies: usize) -> Result<[Tensor; 2], Error> {
        if let Some(known) = self.turned.get(&angles) {
            return Ok(known.clone());
        }
        let tables = self.tabled.angles(&self.plan.device.raw, angles, frequencies)?;
        let positions = self.ids(Ids::Positions)?;
        let [cosines, sines] = tables.map(|table| table.index_select(&positions, 0));
        let turned = [cosines?, sines?];
        self.turned.insert(angles, turned.clone());
        Ok(turned)
    }

    fn keep_sources(&mut self, step: &Step) -> Result<(), Error> {
        let Step::Keep { k, v, place } = step else { unreachable!("all others write a value") };
        let blocks = self.blocks.ok_or(Error::OtherCache)?;
        if self.batch.tokens() == 0 {
            return Ok(());
        }
        let [k, v] = [k, v].map(|home| self.columns(*home));
        self.keep(&blocks.sources()[*place], [&k?, &v?])
    }

    /// Keeps keys and values of the tokens.
    fn keep(&mut self, kept: &[Tensor; 2], new: [&Tensor; 2]) -> Result<(), Error> {
        let rows = match &self.kept_rows {
            Some(rows) => rows.clone(),
            None => {
                let sequences = self.batch.pasts().iter().zip(self.batch.spans());
                let rows = sequences.flat_map(|(past, span)| {
                    let positions = past.tokens..past.tokens + span.len();
                    positions.map(|position| past.blocks[position / BLOCK] as usize * BLOCK + position % BLOCK)
                });
                let rows: Vec<u32> = rows.filter_map(|row| u32::try_from(row).ok()).collect();
                let rows = Tensor::from_slice(&rows, rows.len(), &self.plan.device.raw)?;
                self.kept_rows = Some(rows.clone());
                rows
            }
        };
        for (kept, new) in kept.iter().zip(new) {
            put(kept, &rows, new)?;
        }
        Ok(())
    }

    /// Who sees whom, by its number.
    pub(super) fn sighted(&mut self, sight: Sight) -> Result<(usize, Rc<Sighted>), Error> {
        if let Some(number) = self.sights.iter().position(|(known, _)| *known == sight) {
            return Ok((number, Rc::clone(&self.sights[number].1)));
        }
        let sighted = Rc::new(Sighted::new(sight, self.batch, &self.plan.device.raw)?);
        self.sights.push((sight, Rc::clone(&sighted)));
        Ok((self.sights.len() - 1, sighted))
    }

    /// The indices of an input, uploaded at their first use.
    fn ids(&mut self, ids: Ids) -> Result<Tensor, Error> {
        if let Some((_, known)) = self.ids.iter().find(|(known, _)| *known == ids) {
            return Ok(known.clone());
        }
        let host = self.tabled.host().ids(self.batch, ids);
        let tensor = Tensor::from_slice(host, host.len(), &self.plan.device.raw)?;
        self.ids.push((ids, tensor.clone()));
        Ok(tensor)
    }
}

/// Whether a step goes on from a state.
pub(super) fn has_state(step: &Step) -> bool {
    matches!(step, Step::CausalConvolution { .. } | Step::SelectiveScan { .. })
}

/// What recurrent layers keep.
pub(super) const STATES: &str = "a recurrent state over CUDA";

fn activated(activation: Activation, x: &Tensor) -> Result<Tensor, Error> {
    Ok(match activation {
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::Relu => x.relu()?,
        Activation::Silu => x.silu()?,
        Activation::Tanh => x.tanh()?,
        Activation::Sigmoid => candle_nn::ops::sigmoid(x)?,
        // In this form for large numbers, whose exponentials are none: `max(x, 0) + ln(1 + exp(-|x|))`.
        Activation::Softplus => (x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?,
        Activation::Exp => x.exp()?,
    })
}
