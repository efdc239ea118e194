//! Which rows of a batch see which.
//!
//! Sequences of similar lengths are computed together, padded to the longest of them: so attention is a few products,
//! whatever the number of sequences, and little work is spent on padding. What pads a sequence repeats its own last row, so
//! that no sequence ever computes with numbers of another.

use std::ops::Range;

use candle_core::{Device, Tensor};
use runtime_kernels::BLOCK;

use crate::batch::Past;
use crate::{Batch, Error};

/// The most queries of a sequence that are computed at once.
const QUERIES: usize = 512;

/// The most scores of a head that are held at once: the kernels of CUDA count those of all heads with 31 bits.
const SCORES: usize = 1 << 21;

/// Fewer scores than these may all be padding: another call costs more.
const FEW: usize = 1 << 14;

/// What the tokens of a batch look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Each other.
    Batch,
    /// What is kept of their sequences, themselves included.
    Kept,
    /// What is kept of their sources.
    Sources,
}

/// Who sees whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) over: Over,
    pub(super) causal: bool,
    /// The greatest distance at which a token is seen.
    pub(super) window: Option<usize>,
}

/// All queries of a batch.
pub(super) struct Sighted {
    pub(super) groups: Vec<Group>,
    /// Where the rows of the batch are in the results of all groups, unless in their order.
    pub(super) order: Option<Tensor>,
}

/// Sequences, or parts of them, that are computed together.
pub(super) struct Group {
    pub(super) sequences: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// The rows of the queries in the batch, `[sequences * queries]`.
    pub(super) of_queries: Picks,
    /// The rows of the keys in what is looked at, `[sequences * keys]`.
    pub(super) of_keys: Picks,
    /// What is added to scores, 0 or minus infinity, `[sequences or 1, 1, queries or 1, keys]`; nothing where all are seen.
    pub(super) mask: Option<Tensor>,
    /// The positions of the first query and the first key of each sequence; once if they are as far apart in all.
    firsts: Vec<(usize, usize)>,
}

/// Some rows of a matrix.
pub(super) enum Picks {
    Span(Range<usize>),
    Picked(Tensor),
}

impl Picks {
    fn new(rows: &[u32], device: &Device) -> Result<Self, Error> {
        let follow = rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        match rows.first().filter(|_| follow) {
            Some(first) => Ok(Self::Span(*first as usize..*first as usize + rows.len())),
            None => Ok(Self::Picked(Tensor::from_slice(rows, rows.len(), device)?)),
        }
    }

    pub(super) fn of(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Span(rows) => x.narrow(0, rows.start, rows.len())?,
            // CUDA looks up in contiguous matrices alone.
            Self::Picked(rows) => x.contiguous()?.index_select(rows, 0)?,
        })
    }
}

/// Some following tokens of a sequence.
struct Item {
    sequence: usize,
    /// In the batch.
    rows: Range<usize>,
    /// The position of the first.
    first: usize,
    /// The positions that they see.
    keys: Range<usize>,
}

impl Sighted {
    pub(super) fn new(sight: Sight, batch: &Batch, device: &Device) -> Result<Self, Error> {
        let mut items = items(sight, batch);
        items.sort_by_key(|item| (item.rows.len(), item.keys.len(), item.rows.start));
        let (mut groups, mut order, mut first) = (Vec::new(), vec![0; batch.tokens()], 0);
        let sizes: Vec<(usize, usize)> = items.iter().map(|item| (item.rows.len(), item.keys.len())).collect();
        for range in together(&sizes) {
            let items = &items[range];
            let group = Group::new(sight, batch, items, device)?;
            for (place, item) in items.iter().enumerate() {
                let at = first + place * group.queries;
                order[item.rows.clone()].iter_mut().zip(at..).for_each(|(to, at)| *to = at);
            }
            first += items.len() * group.queries;
            groups.push(group);
        }
        let in_order = first == order.len() && order.iter().enumerate().all(|(row, at)| row == *at);
        let order: Vec<u32> = order.into_iter().filter_map(|at| u32::try_from(at).ok()).collect();
        let order = if in_order { None } else { Some(Tensor::from_slice(&order, order.len(), device)?) };
        Ok(Self { groups, order })
    }

    /// The rows of a batch from the results of all groups.
    pub(super) fn collect(&self, results: &[Tensor]) -> Result<Tensor, Error> {
        let all = match results {
            [one] => one.clone(),
            results => Tensor::cat(results, 0)?,
        };
        match &self.order {
            Some(order) => Ok(all.contiguous()?.index_select(order, 0)?),
            None => Ok(all),
        }
    }
}

fn items(sight: Sight, batch: &Batch) -> Vec<Item> {
    let reach = sight.window.unwrap_or(usize::MAX);
    let mut items = Vec::new();
    for (sequence, span) in batch.spans().enumerate() {
        let past = if sight.over == Over::Kept { batch.past(sequence) } else { 0 };
        let total = match sight.over {
            Over::Sources => batch.sources()[sequence].tokens,
            _ => past + span.len(),
        };
        let most = (SCORES / total.max(1)).clamp(1, QUERIES);
        for start in span.clone().step_by(most) {
            let rows = start..span.end.min(start + most);
            let first = past + (start - span.start);
            let end = first + rows.len();
            let keys = match sight.over {
                Over::Sources => 0..total,
                _ if sight.causal => first.saturating_sub(reach)..end,
                _ => first.saturating_sub(reach)..end.saturating_add(reach).min(total),
            };
            items.push(Item { sequence, rows, first, keys });
        }
    }
    items
}

/// Ranges of sizes, which ascend, that are padded to the longest of each without much waste.
pub(super) fn together(sizes: &[(usize, usize)]) -> Vec<Range<usize>> {
    let (mut ranges, mut first) = (Vec::new(), 0);
    let (mut needed, mut longest) = (0, (0, 0));
    for (at, (queries, keys)) in sizes.iter().enumerate() {
        let padded = (longest.0.max(*queries), longest.1.max(*keys));
        let area = (at + 1 - first) * padded.0 * padded.1;
        let with = needed + queries * keys;
        if at > first && (area > SCORES || area > (2 * with).max(FEW)) {
            ranges.push(first..at);
            (first, needed, longest) = (at, queries * keys, (*queries, *keys));
        } else {
            (needed, longest) = (with, padded);
        }
    }
    if first < sizes.len() {
        ranges.push(first..sizes.len());
    }
    ranges
}

impl Group {
    fn new(sight: Sight, batch: &Batch, items: &[Item], device: &Device) -> Result<Self, Error> {
        let queries = items.iter().map(|item| item.rows.len()).max().unwrap_or(0);
        let keys = items.iter().map(|item| item.keys.len()).max().unwrap_or(0);
        let last = |place: usize, range: &Range<usize>| range.start + place.min(range.len() - 1);
        let of_queries = items.iter().flat_map(|item| (0..queries).map(move |query| last(query, &item.rows)));
        let of_keys = items.iter().flat_map(|item| {
            let at = move |key: usize| last(key, &item.keys);
            (0..keys).map(move |key| row(sight.over, batch, item.sequence, at(key)))
        });
        let [of_queries, of_keys] = [of_queries.collect::<Vec<_>>(), of_keys.collect()].map(|rows| {
            let rows: Vec<u32> = rows.into_iter().filter_map(|row| u32::try_from(row).ok()).collect();
            Picks::new(&rows, device)
        });
        let apart = |item: &Item| item.first.abs_diff(item.keys.start);
        let alike = items.iter().all(|item| apart(item) == apart(&items[0]));
        let firsts = items.iter().take(if alike { 1 } else { items.len() }).map(|item| (item.first, item.keys.start));
        let firsts: Vec<_> = firsts.collect();
        let mask = mask(sight, items, queries, keys, alike, device)?;
        let (of_queries, of_keys) = (of_queries?, of_keys?);
        Ok(Self { sequences: items.len(), queries, keys, of_queries, of_keys, mask, firsts })
    }

    /// A number for each query and key by `query - key`, `[sequences or 1, queries, keys]`; what is farther apart than
    /// `reach` is only padding.
    pub(super) fn by_distance(
        &self,
        reach: usize,
        number: impl Fn(usize) -> u32,
        device: &Device,
    ) -> Result<Tensor, Error> {
        let mut numbers = Vec::with_capacity(self.firsts.len() * self.queries * self.keys);
        for (first, first_key) in &self.firsts {
            for query in *first..first + self.queries {
                let keys = *first_key..first_key + self.keys;
                numbers.extend(keys.map(|key| number((reach + query).saturating_sub(key).min(2 * reach))));
            }
        }
        Ok(Tensor::from_vec(numbers, (self.firsts.len(), self.queries, self.keys), device)?)
    }
}

/// The row of a position in what is looked at.
fn row(over: Over, batch: &Batch, sequence: usize, position: usize) -> usize {
    let of = |past: &Past| past.blocks[position / BLOCK] as usize * BLOCK + position % BLOCK;
    match over {
        Over::Batch => batch.offsets()[sequence] + position,
        Over::Kept => of(&batch.pasts()[sequence]),
        Over::Sources => of(&batch.sources()[sequence]),
    }
}

fn mask(
    sight: Sight,
    items: &[Item],
    queries: usize,
    keys: usize,
    alike: bool,
    device: &Device,
) -> Result<Option<Tensor>, Error> {
    let same_keys = items.iter().all(|item| item.keys.len() == keys);
    let by_query = sight.causal || sight.window.is_some();
    let reach = sight.window.unwrap_or(usize::MAX);
    // A padded key of a causal attention comes after all queries, so that nothing more hides it.
    let sequences = if by_query && alike && (sight.causal || same_keys) { 1 } else { items.len() };
    let sequences = if !by_query && same_keys { 0 } else { sequences };
    let rows = if by_query { queries } else { 1 };
    let mut mask = Vec::with_capacity(sequences * rows * keys);
    for item in &items[..sequences] {
        for query in item.first..item.first + rows {
            mask.extend((0..keys).map(|place| {
                let key = item.keys.start + place;
                let near = !by_query || (query.abs_diff(key) <= reach && (!sight.causal || key <= query));
                let there = sequences == 1 || place < item.keys.len();
                if near && there { 0.0 } else { f32::NEG_INFINITY }
            }));
        }
    }
    if mask.iter().all(|number| *number == 0.0) {
        return Ok(None);
    }
    Ok(Some(Tensor::from_vec(mask, (sequences, 1, rows, keys), device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_differ_much_are_computed_apart() {
        assert!(together(&[]).is_empty());
        assert_eq!(together(&[(1, 5), (1, 9), (3, 3)]).len(), 1);
        assert_eq!(together(&[(100, 100), (110, 110), (400, 400), (410, 410)]), [0..2, 2..4]);
        assert_eq!(together(&[(1, 3000); 1000]).len(), 1000usize.div_ceil(SCORES / 3000));
    }
}
