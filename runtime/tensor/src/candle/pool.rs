//! Pooling, and rows beside their neighbours.

use candle_core::{Device, Tensor};
use runtime_graph::Pooling;

use super::sight::together;
use crate::{Batch, Error};

/// No row: candle's look-ups fill with zeros there, on CUDA too.
const NONE: u32 = u32::MAX;

/// `x [n, width]` as `[s, width]`.
pub(super) fn pool(pooling: Pooling, batch: &Batch, x: &Tensor, device: &Device) -> Result<Tensor, Error> {
    let row = |row: Option<usize>| row.and_then(|row| u32::try_from(row).ok()).unwrap_or(NONE);
    match pooling {
        Pooling::First => look_up(x, &batch.spans().map(|mut span| row(span.next())).collect::<Vec<_>>(), device),
        Pooling::Last => look_up(x, &batch.spans().map(|span| row(span.last())).collect::<Vec<_>>(), device),
        Pooling::Mean | Pooling::Max => {
            let spans: Vec<_> = batch.spans().collect();
            let mut sorted: Vec<usize> = (0..spans.len()).collect();
            sorted.sort_by_key(|sequence| spans[*sequence].len());
            let sizes: Vec<(usize, usize)> = sorted.iter().map(|sequence| (1, spans[*sequence].len())).collect();
            let mut pooled = Vec::new();
            for range in together(&sizes) {
                let sequences = &sorted[range];
                let longest = sequences.iter().map(|sequence| spans[*sequence].len()).max().unwrap_or(0).max(1);
                // Zeros change no sum, and a row that is there twice no maximum.
                let at = |span: &std::ops::Range<usize>, place: usize| match span.clone().nth(place) {
                    None if pooling == Pooling::Max => row(span.clone().next()),
                    at => row(at),
                };
                let ids = sequences.iter().flat_map(|sequence| (0..longest).map(move |place| (*sequence, place)));
                let ids: Vec<u32> = ids.map(|(sequence, place)| at(&spans[sequence], place)).collect();
                let rows = look_up(x, &ids, device)?.reshape((sequences.len(), longest, x.dims()[1]))?;
                pooled.push(if pooling == Pooling::Max {
                    rows.max(1)?
                } else {
                    #[expect(clippy::cast_precision_loss, reason = "tokens of a sequence")]
                    let shares = sequences.iter().map(|sequence| 1.0 / spans[*sequence].len().max(1) as f32);
                    let shares = Tensor::from_vec(shares.collect::<Vec<_>>(), (sequences.len(), 1), device)?;
                    rows.sum(1)?.broadcast_mul(&shares)?
                });
            }
            let mut order = vec![0; sorted.len()];
            (0..).zip(&sorted).for_each(|(at, sequence)| order[*sequence] = at);
            look_up(&Tensor::cat(&pooled, 0)?, &order, device)
        }
    }
}

/// Each row of `x [n, width]` between those of its neighbours, `[n * size, width]`, zeros outside of its sequence.
pub(super) fn neighbours(batch: &Batch, x: &Tensor, size: usize, device: &Device) -> Result<Tensor, Error> {
    let near = batch.spans().flat_map(|span| {
        let of_token = move |token: usize| (0..size).map(move |place| (token + place).checked_sub(size / 2));
        span.clone().flat_map(of_token).map(move |other| other.filter(|other| span.contains(other)))
    });
    let ids = near.map(|other| other.and_then(|other| u32::try_from(other).ok()).unwrap_or(NONE));
    look_up(x, &ids.collect::<Vec<_>>(), device)
}

pub(super) fn look_up(x: &Tensor, ids: &[u32], device: &Device) -> Result<Tensor, Error> {
    Ok(x.contiguous()?.index_select(&Tensor::from_slice(ids, ids.len(), device)?, 0)?)
}
