//! Operators that go row by row: look-ups, columns, sums, functions of each number.

use half::{bf16, f16};

use crate::activation::{Activation, activate};
use crate::attention::Columns;
use crate::chunk::{CHUNK, put, take};
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd, half_to_single};
use crate::team::Team;

/// Numbers in a task.
const NUMBERS: usize = 1 << 13;

/// A table whose rows are looked up, in the precision in which it is stored.
pub enum Table {
    /// Single precision.
    F32(Vec<f32>),
    /// IEEE half precision.
    F16(Vec<f16>),
    /// The upper half of a single.
    Bf16(Vec<bf16>),
}

impl Table {
    /// Numbers in the table.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F16(numbers) => numbers.len(),
            Self::Bf16(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[inline(always)]
fn look_up<T: Copy>(table: &[T], width: usize, ids: &[u32], add: bool, to: &mut [f32], convert: impl Fn(T) -> f32) {
    for (to, id) in to.chunks_exact_mut(width).zip(ids) {
        let row = &table[*id as usize * width..][..width];
        if add {
            for (to, x) in to.iter_mut().zip(row) {
                *to += convert(*x);
            }
        } else {
            for (to, x) in to.iter_mut().zip(row) {
                *to = convert(*x);
            }
        }
    }
}

struct LookUp<'a> {
    table: &'a Table,
    width: usize,
    ids: &'a [u32],
    add: bool,
    to: &'a mut [f32],
}

impl Kernel for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { table, width, ids, add, to } = self;
        match table {
            Table::F32(numbers) => look_up(numbers, width, ids, add, to, |x| x),
            Table::F16(numbers) => look_up(numbers, width, ids, add, to, half_to_single),
            Table::Bf16(numbers) => look_up(numbers, width, ids, add, to, bf16::to_f32),
        }
    }
}

/// Cuts `to` into tasks of some rows each.
pub(crate) fn by_rows(
    team: &Team<'_>,
    width: usize,
    to: &mut [f32],
    work: &(dyn Fn(std::ops::Range<usize>, &mut [f32]) + Sync),
) {
    if width == 0 || to.is_empty() {
        return;
    }
    let rows = to.len() / width;
    let each = (NUMBERS / width).max(1);
    let to = Shared::new(to);
    team.each(rows.div_ceil(each), &|task, _| {
        let range = task * each..rows.min((task + 1) * each);
        // SAFETY: tasks have different rows.
        #[expect(unsafe_code, reason = "rows are cut up among tasks")]
        let to = unsafe { to.part(range.start * width..range.end * width) };
        work(range, to);
    });
}

/// Fills `to [ids, width]` with the rows of `table` at `ids`, or adds them to it. Each id must have a row.
pub fn look_up_rows(team: &Team<'_>, table: &Table, width: usize, ids: &[u32], add: bool, to: &mut [f32]) {
    let isa = Isa::best();
    by_rows(team, width, to, &|range, to| isa.run(LookUp { table, width, ids: &ids[range], add, to }));
}

/// Fills `to [ids, width]` with the rows of `x` at `ids`.
pub fn select_rows(team: &Team<'_>, x: &[f32], width: usize, ids: &[u32], to: &mut [f32]) {
    by_rows(team, width, to, &|range, to| {
        for (to, id) in to.chunks_exact_mut(width).zip(&ids[range]) {
            to.copy_from_slice(&x[*id as usize * width..][..width]);
        }
    });
}

/// What is changed in some rows of a matrix, in columns that follow each other: `to * factors + add`.
pub struct Correction<'a> {
    /// The rows, in ascending order.
    pub rows: &'a [u32],
    /// The first of the columns.
    pub first: usize,
    /// One for each column.
    pub factors: Option<&'a [f32]>,
    /// `[rows, columns]`
    pub add: &'a [f32],
    /// Added to each row, `[columns]`
    pub bias: Option<&'a [f32]>,
    /// How many columns.
    pub columns: usize,
}

impl Correction<'_> {
    /// Changes `to`, whose rows are `width` numbers.
    pub fn run(&self, team: &Team<'_>, width: usize, to: &mut [f32]) {
        let columns = self.first..self.first + self.columns;
        by_rows(team, width, to, &|range, to| {
            for (to, row) in to.chunks_exact_mut(width).zip(range) {
                let Some(at) = u32::try_from(row).ok().and_then(|row| self.rows.binary_search(&row).ok()) else {
                    continue;
                };
                let to = &mut to[columns.clone()];
                if let Some(factors) = self.factors {
                    to.iter_mut().zip(factors).for_each(|(to, factor)| *to *= factor);
                }
                if !self.add.is_empty() {
                    let add = &self.add[at * self.columns..(at + 1) * self.columns];
                    to.iter_mut().zip(add).for_each(|(to, add)| *to += add);
                }
                if let Some(bias) = self.bias {
                    to.iter_mut().zip(bias).for_each(|(to, bias)| *to += bias);
                }
            }
        });
    }
}

/// Fills `to [rows, width]` with the columns of `x`.
pub fn copy_columns(team: &Team<'_>, x: Columns<'_>, width: usize, to: &mut [f32]) {
    by_rows(team, width, to, &|range, to| {
        for (to, row) in to.chunks_exact_mut(width).zip(range) {
            to.copy_from_slice(x.row(row, 0, width));
        }
    });
}

/// Fills `to` with `parts` parts of each row of `a` `[rows, widths[0]]`, each followed by the same part of `b`
/// `[rows, widths[1]]`.
pub fn join(team: &Team<'_>, a: Columns<'_>, b: Columns<'_>, widths: [usize; 2], parts: usize, to: &mut [f32]) {
    let [v, w] = widths.map(|width| width / parts);
    by_rows(team, widths[0] + widths[1], to, &|range, to| {
        for (to, row) in to.chunks_exact_mut(widths[0] + widths[1]).zip(range) {
            for (part, to) in to.chunks_exact_mut(v + w).enumerate() {
                let (of_a, of_b) = to.split_at_mut(v);
                of_a.copy_from_slice(a.row(row, part * v, v));
                of_b.copy_from_slice(b.row(row, part * w, w));
            }
        }
    });
}

/// An operator of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a * b`
    Multiply,
}

/// Fills `to` with `activation(a)` combined with `b`, each where it is there.
pub fn combine(
    team: &Team<'_>,
    a: &[f32],
    activation: Option<Activation>,
    b: Option<(Binary, &[f32])>,
    to: &mut [f32],
) {
    assert!(a.len() == to.len() && b.is_none_or(|(_, b)| b.len() == to.len()), "one shape");
    let isa = Isa::best();
    by_rows(team, 1, to, &|range, to| {
        let b = b.map(|(binary, b)| (binary, &b[range.clone()]));
        isa.run(Combine { a: &a[range], activation, b, to });
    });
}

struct Combine<'a> {
    a: &'a [f32],
    activation: Option<Activation>,
    b: Option<(Binary, &'a [f32])>,
    to: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        self.to.copy_from_slice(self.a);
        if let Some(activation) = self.activation {
            for to in self.to.chunks_mut(CHUNK) {
                put(activate::<S>(activation, take(to)), to);
            }
        }
        match self.b {
            Some((Binary::Add, b)) => self.to.iter_mut().zip(b).for_each(|(to, b)| *to += b),
            Some((Binary::Multiply, b)) => self.to.iter_mut().zip(b).for_each(|(to, b)| *to *= b),
            None => {}
        }
    }
}

/// Fills `to [rows, width]` with each row of `x` times its number of `factors [rows]`.
pub fn scale_rows(team: &Team<'_>, x: &[f32], factors: &[f32], to: &mut [f32]) {
    assert_eq!(x.len(), to.len(), "one shape");
    let width = to.len() / factors.len().max(1);
    by_rows(team, width, to, &|range, to| {
        let rows = x[range.start * width..].chunks_exact(width);
        for ((to, x), factor) in to.chunks_exact_mut(width).zip(rows).zip(&factors[range]) {
            to.iter_mut().zip(x).for_each(|(to, x)| *to = x * factor);
        }
    });
}

/// Fills `to` with `factor * x`.
pub fn scale(team: &Team<'_>, x: &[f32], factor: f32, to: &mut [f32]) {
    by_rows(team, 1, to, &|range, to| {
        for (to, x) in to.iter_mut().zip(&x[range]) {
            *to = factor * x;
        }
    });
}
