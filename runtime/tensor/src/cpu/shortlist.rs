//! Shortlists of rows, found where the rows are.

use rayon::prelude::*;
use runtime_kernels as kernels;

use crate::wanted::Found;
use crate::{Batch, Greatest, Matrix, Rows, Shortlist, Wanted};

/// What is wanted of each row of `x [rows, width]`.
pub(crate) fn read(x: &[f32], width: usize, batch: &Batch) -> Rows {
    let of = |(row, numbers): (usize, &[f32])| match batch.wanted(row) {
        Wanted::Row => None,
        Wanted::Greatest(wanted) => shortlist(numbers, wanted),
    };
    let rows = x.len() / width.max(1);
    let shortlists: Vec<Option<Shortlist>> = match rows {
        0 => Vec::new(),
        1 => vec![of((0, x))],
        _ => x.par_chunks_exact(width).enumerate().map(of).collect(),
    };
    let count = shortlists.iter().filter(|list| list.is_none()).count();
    let mut data = Vec::with_capacity(count * width);
    let whole = x.chunks_exact(width.max(1)).zip(&shortlists).filter(|(_, list)| list.is_none());
    whole.for_each(|(row, _)| data.extend_from_slice(row));
    Rows { whole: Matrix { rows: count, width, data }, shortlists }
}

fn shortlist(row: &[f32], wanted: Greatest) -> Option<Shortlist> {
    let kernels::Greatest { columns, numbers } = kernels::greatest(row, wanted.listed(row.len())?)?;
    let mut list = Found { columns, numbers }.settle(wanted, row.len())?;
    list.log_sum_exp = wanted.log_sum_exp.then(|| kernels::log_sum_exp(row, list.numbers[0]));
    Some(list)
}
