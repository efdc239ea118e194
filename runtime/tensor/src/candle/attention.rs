//! Attention as products of groups of sequences.

use std::collections::hash_map::Entry;

use candle_core::Tensor;

use super::run::Run;
use super::sight::{Group, Over, Sight};
use crate::Error;
use crate::lower::{Heads, Terms};

impl Run<'_> {
    /// What each row of `q` finds in `k` and `v`, of which each has a row for all that is looked at.
    pub(super) fn attend(
        &mut self,
        over: Over,
        heads: &Heads,
        q: &Tensor,
        [k, v]: [&Tensor; 2],
    ) -> Result<Tensor, Error> {
        let sight = Sight { over, causal: heads.causal, window: heads.window };
        let (number, sighted) = self.sighted(sight)?;
        let groups = sighted.groups.iter().enumerate().map(|(group_number, group)| {
            let terms = self.terms(heads, (number, group_number), group)?;
            scaled(heads, group, q, k, v, terms.as_ref())
        });
        let results = groups.collect::<Result<Vec<_>, _>>()?;
        sighted.collect(&results)
    }

    /// What distances need of a group: a number added to each score, or which rows of tables to multiply with.
    fn terms(&mut self, heads: &Heads, group: (usize, usize), of: &Group) -> Result<Option<Distant>, Error> {
        let plan = self.plan;
        let vector = |vector: usize| plan.vectors[vector].clone();
        let device = &plan.device.raw;
        Ok(match heads.relative {
            None => None,
            Some(Terms::Bias { distances, table }) => {
                let numbers = &plan.lowered.constants.vectors[table];
                let (reach, table) = self.tabled.bias(device, distances, numbers, heads.heads)?;
                let bias = match self.distant.entry((group.0, group.1, distances)) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(vacant) => {
                        let last = u32::try_from(2 * reach).unwrap_or(u32::MAX);
                        let by = of.by_distance(reach, |at| last - u32::try_from(at).unwrap_or(last), device)?;
                        let (sequences, queries, keys) = by.dims3()?;
                        let bias = table.index_select(&by.flatten_all()?, 1)?;
                        let bias = bias.reshape((heads.heads, sequences, queries, keys))?;
                        vacant.insert(bias.transpose(0, 1)?.contiguous()?).clone()
                    }
                };
                Some(Distant::Bias(bias))
            }
            Some(Terms::Disentangled { distances, keys, queries }) => {
                let rows = match self.distant.entry((group.0, group.1, distances)) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(vacant) => {
                        let table = &self.tabled.host().distances[distances];
                        vacant.insert(of.by_distance(table.reach, |at| table.rows[at], device)?).clone()
                    }
                };
                Some(Distant::Disentangled { rows, keys: keys.map(vector), queries: queries.map(vector) })
            }
        })
    }
}

/// What distances add, on the device.
enum Distant {
    /// `[sequences or 1, heads, queries, keys]`
    Bias(Tensor),
    /// The row of the tables for each query and key, `[sequences or 1, queries, keys]`.
    Disentangled { rows: Tensor, keys: Option<Tensor>, queries: Option<Tensor> },
}

fn scaled(
    heads: &Heads,
    group: &Group,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    distant: Option<&Distant>,
) -> Result<Tensor, Error> {
    let Group { sequences, queries, keys, .. } = *group;
    let Heads { heads: count, key_value_heads: shared, .. } = *heads;
    let size = q.dims()[1] / count;
    // Products of many matrices want them contiguous on CUDA: heads come before tokens. Heads that share keys are rows of
    // one product.
    let of_heads = |x: Tensor, tokens: usize, heads: usize| -> Result<Tensor, Error> {
        Ok(x.reshape((sequences, tokens, heads, size))?.transpose(1, 2)?.contiguous()?)
    };
    let q = (of_heads(group.of_queries.of(q)?, queries, count)? * f64::from(heads.scale))?;
    let k = of_heads(group.of_keys.of(k)?, keys, shared)?;
    let v = of_heads(group.of_keys.of(v)?, keys, shared)?;
    let stacked = (sequences * shared, count / shared * queries, size);
    let [k_stack, v_stack] = [&k, &v].map(|x| x.reshape((sequences * shared, keys, size)));
    let scores = q.reshape(stacked)?.matmul(&k_stack?.t()?)?;
    let mut scores = scores.reshape((sequences, count, queries, keys))?;
    if let Some(cap) = heads.soft_cap {
        scores = ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?;
    }
    match distant {
        None => {}
        Some(Distant::Bias(bias)) => scores = scores.broadcast_add(bias)?,
        Some(Distant::Disentangled { rows, keys: of_keys, queries: of_queries }) => {
            let rows = rows.unsqueeze(0)?.broadcast_as((count, sequences, queries, keys))?;
            if let Some(table) = of_keys {
                scores = (scores + products(&q, table, &rows)?)?;
            }
            if let Some(table) = of_queries {
                let products = products(&(&k * f64::from(heads.scale))?, table, &rows.transpose(2, 3)?)?;
                scores = (scores + products.transpose(2, 3)?)?;
            }
        }
    }
    if let Some(mask) = &group.mask {
        scores = scores.broadcast_add(mask)?;
    }
    let weights = candle_nn::ops::softmax_last_dim(&scores.contiguous()?)?;
    let sums = weights.reshape((sequences * shared, count / shared * queries, keys))?.matmul(&v_stack?)?;
    let sums = sums.reshape((sequences, count, queries, size))?.transpose(1, 2)?;
    Ok(sums.reshape((sequences * queries, count * size))?)
}

/// Of the products of `x [sequences, heads, tokens, size]` with all rows of a table `[rows, heads * size]`, those that
/// `rows [heads, sequences, tokens, others]` says: `[sequences, heads, tokens, others]`.
fn products(x: &Tensor, table: &Tensor, rows: &Tensor) -> Result<Tensor, Error> {
    let (sequences, heads, tokens, size) = x.dims4()?;
    let table = table.reshape(((), heads, size))?;
    let count = table.dims()[0];
    // A head at a time, so that the table is the same for all sequences: CUDA's products repeat no matrix.
    let x = x.transpose(0, 1)?.contiguous()?.reshape((heads, sequences * tokens, size))?;
    let all = x.matmul(&table.transpose(0, 1)?.contiguous()?.t()?)?;
    let all = all.reshape((heads, sequences, tokens, count))?;
    Ok(all.gather(&rows.contiguous()?, 3)?.transpose(0, 1)?)
}
