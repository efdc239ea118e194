//! What a run reads back: whole results, and of rows that are asked for no more than is wanted.

use runtime_gpu::{Buffer, Gpu, Read, Results};
use runtime_graph::Dim;

use super::run::Run;
use crate::lower::{Home, Output, Source, count};
use crate::wanted::Found;
use crate::{Batch, Error, Greatest, Matrix, Rows, Shortlist, Wanted};

/// A result, and by which reads it is known.
enum Asked<'a> {
    Constant(&'a Matrix),
    Whole(Home, usize),
    Listed(Listed),
}

/// Rows of which some are listed.
struct Listed {
    x: Buffer,
    width: usize,
    /// For each row what is listed of it, and of how many numbers; of the others, which are whole, nothing.
    rows: Vec<Option<(Greatest, usize)>>,
    /// Numbers that are listed of each row, at most.
    count: usize,
    /// Parts of a row that sums are of, if any are wanted.
    parts: usize,
    /// The reads: of columns, numbers, and sums, for all rows; and then of each row that is whole.
    first: usize,
}

impl Run<'_> {
    /// Submits all, and reads back what is wanted.
    pub(super) fn finish(mut self, outputs: &[Output]) -> Result<Vec<Rows>, Error> {
        let mut reads = Vec::new();
        let asked: Vec<Asked<'_>> =
            outputs.iter().map(|output| self.ask(output, &mut reads)).collect::<Result<_, _>>()?;
        let (batch, gpu) = (self.batch, self.recorder.gpu().clone());
        let read = self.recorder.finish(&reads)?;
        let result = |asked| match asked {
            Asked::Constant(matrix) => Ok(Rows { whole: matrix.clone(), shortlists: Vec::new() }),
            Asked::Whole(home, number) => Ok(whole(home, count(batch, home.rows), read.f32(number))),
            Asked::Listed(listed) => listed.rows(&gpu, &read),
        };
        asked.into_iter().map(result).collect()
    }

    fn ask<'a>(&mut self, output: &'a Output, reads: &mut Vec<Read>) -> Result<Asked<'a>, Error> {
        let home = match &output.from {
            Source::Constant(matrix) => return Ok(Asked::Constant(matrix)),
            Source::Computed(home) => *home,
        };
        let (x, rows, number) = (self.slot(home), self.count(home), reads.len());
        let listed = Listed::new(home, x.clone(), self.batch, number);
        let Some(listed) = listed else {
            reads.push(Read::new(&x, 0, rows * home.width));
            return Ok(Asked::Whole(home, number));
        };
        let Listed { width, count, parts, .. } = listed;
        let scratch = |numbers: usize| self.recorder.gpu().scratch(size_of::<f32>() * numbers);
        let [columns, numbers] = [scratch(rows * count)?, scratch(rows * count)?];
        let sums = scratch(2 * rows * parts)?;
        self.recorder.top(&x, rows, width, count, &columns, Some(&numbers));
        if parts > 0 {
            self.recorder.sum_exp(&x, rows, width, &sums);
        }
        reads.extend([&columns, &numbers].map(|list| Read::new(list, 0, rows * count)));
        reads.push(Read::new(&sums, 0, 2 * rows * parts));
        let whole = listed.rows.iter().enumerate().filter(|(_, list)| list.is_none());
        reads.extend(whole.map(|(row, _)| Read::new(&x, row * width, width)));
        Ok(Asked::Listed(listed))
    }
}

impl Listed {
    /// Of a result that has a row for each that is asked for; `None` where all rows are whole.
    fn new(home: Home, x: Buffer, batch: &Batch, first: usize) -> Option<Self> {
        if home.rows != Dim::Rows || home.columns != home.width || batch.wants_rows() {
            return None;
        }
        let width = home.width;
        let of = |row: usize| match batch.wanted(row) {
            Wanted::Row => None,
            Wanted::Greatest(wanted) => Some((wanted, wanted.listed(width)?)),
        };
        let rows: Vec<_> = (0..batch.rows().len()).map(of).collect();
        let listed = rows.iter().flatten();
        let count = listed.clone().map(|(_, count)| *count).max()?;
        let sums = listed.clone().any(|(wanted, _)| wanted.log_sum_exp);
        let parts = if sums { runtime_gpu::summed_parts(width) } else { 0 };
        Some(Self { x, width, rows, count, parts, first })
    }

    /// What there is of each row. One whose list does not hold is read by itself: it is still there, and seldom needed.
    fn rows(self, gpu: &Gpu, read: &Results) -> Result<Rows, Error> {
        let Self { x, width, rows, count, parts, first } = self;
        let (columns, numbers, sums) = (read.u32(first), read.f32(first + 1), read.f32(first + 2));
        let list = |(row, wanted): (usize, &Option<(Greatest, usize)>)| {
            let (wanted, length) = (*wanted)?;
            let place = row * count..row * count + length;
            let found = Found { columns: columns[place.clone()].to_vec(), numbers: numbers[place].to_vec() };
            let mut list = found.settle(wanted, width)?;
            let sums = wanted.log_sum_exp.then(|| &sums[2 * row * parts..2 * (row + 1) * parts]);
            list.log_sum_exp = sums.map(runtime_gpu::log_sum_exp);
            Some(list)
        };
        let shortlists: Vec<Option<Shortlist>> = rows.iter().enumerate().map(list).collect();
        let missing = rows.iter().zip(&shortlists).enumerate();
        let missing = missing.filter(|(_, (wanted, list))| wanted.is_some() && list.is_none());
        let missing: Vec<Read> = missing.map(|(row, _)| Read::new(&x, row * width, width)).collect();
        let late = if missing.is_empty() { Results::default() } else { gpu.record().finish(&missing)? };
        let (mut next, mut next_late, mut data) = (first + 3, 0, Vec::new());
        for (wanted, _) in rows.iter().zip(&shortlists).filter(|(_, list)| list.is_none()) {
            let (results, number) = if wanted.is_none() { (read, &mut next) } else { (&late, &mut next_late) };
            data.extend(results.f32(*number));
            *number += 1;
        }
        let whole = Matrix { rows: next - first - 3 + next_late, width, data };
        Ok(Rows { whole, shortlists })
    }
}

fn whole(home: Home, rows: usize, mut data: Vec<f32>) -> Rows {
    if home.columns != home.width {
        let all = data.chunks_exact(home.width.max(1));
        data = all.flat_map(|row| row[home.first..home.first + home.columns].to_vec()).collect();
    }
    Rows { whole: Matrix { rows, width: home.columns, data }, shortlists: Vec::new() }
}
