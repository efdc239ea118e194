//! From the rows of a sequence to one.

use runtime_graph::Pooling;

use crate::Batch;

/// Fills row `i` of `to` from the rows of sequence `i` in `x`; a sequence without tokens gives zeros.
pub(crate) fn pool(pooling: Pooling, batch: &Batch, width: usize, x: &[f32], to: &mut [f32]) {
    if width == 0 {
        return;
    }
    for (span, to) in batch.spans().zip(to.chunks_exact_mut(width)) {
        let tokens = span.len();
        let mut rows = x[span.start * width..span.end * width].chunks_exact(width);
        match pooling {
            Pooling::First => rows.next().into_iter().for_each(|row| to.copy_from_slice(row)),
            Pooling::Last => rows.next_back().into_iter().for_each(|row| to.copy_from_slice(row)),
            Pooling::Mean => mean(rows, tokens, to),
            Pooling::Max => {
                rows.next().into_iter().for_each(|row| to.copy_from_slice(row));
                rows.for_each(|row| to.iter_mut().zip(row).for_each(|(to, x)| *to = to.max(*x)));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sequence has fewer than 2^24 tokens")]
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, tokens: usize, to: &mut [f32]) {
    rows.for_each(|row| to.iter_mut().zip(row).for_each(|(to, x)| *to += x));
    to.iter_mut().for_each(|to| *to /= tokens.max(1) as f32);
}
