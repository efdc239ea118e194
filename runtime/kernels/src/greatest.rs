//! The greatest numbers of a row, in place of the row.

use crate::math::exp;
use crate::simd::{Isa, Kernel, Simd};

/// Numbers that are compared together.
const CHUNK: usize = 32;

/// Columns and numbers of the greatest of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greatest {
    /// Columns, that of the greatest number first, of equal ones the lowest first.
    pub columns: Vec<u32>,
    /// The number at each.
    pub numbers: Vec<f32>,
}

/// The `count` greatest numbers of a row, or all where there are no more. `None` where one is NaN.
pub fn greatest(row: &[f32], count: usize) -> Option<Greatest> {
    let isa = Isa::best();
    let highest = isa.run(Highest(row));
    if highest.is_nan() {
        return None;
    }
    let mut found: Vec<(f32, u32)> = match count {
        0 => Vec::new(),
        1 => isa.run(First { row, number: highest }).map(|column| (highest, column)).into_iter().collect(),
        _ => isa.run(Heads { row, count }),
    };
    found.sort_unstable_by(descending);
    let (numbers, columns) = found.into_iter().unzip();
    Some(Greatest { columns, numbers })
}

/// `ln(sum(exp(x)))` of a row of finite numbers, whose greatest is `highest`; within some 1e-7.
pub fn log_sum_exp(row: &[f32], highest: f32) -> f64 {
    f64::from(highest) + Isa::best().run(Sum { row, highest }).ln()
}

/// The greatest first; of equal ones, both zeros among them, the lowest column.
fn descending(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1))
}

/// The greatest number, minus infinity of none; NaN where there is one.
struct Highest<'a>(&'a [f32]);

impl Kernel for Highest<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self) -> f32 {
        let (chunks, rest) = self.0.as_chunks::<CHUNK>();
        let mut best = [f32::NEG_INFINITY; CHUNK];
        let mut no_number = [0_u32; CHUNK];
        for chunk in chunks {
            for lane in 0..CHUNK {
                best[lane] = if chunk[lane] > best[lane] { chunk[lane] } else { best[lane] };
                no_number[lane] |= u32::from(chunk[lane].is_nan());
            }
        }
        let mut highest = f32::NEG_INFINITY;
        let mut any = 0;
        for lane in 0..CHUNK {
            highest = if best[lane] > highest { best[lane] } else { highest };
            any |= no_number[lane];
        }
        for x in rest {
            highest = if *x > highest { *x } else { highest };
            any |= u32::from(x.is_nan());
        }
        if any == 0 { highest } else { f32::NAN }
    }
}

/// The first column with a number.
struct First<'a> {
    row: &'a [f32],
    number: f32,
}

impl Kernel for First<'_> {
    type Output = Option<u32>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Option<u32> {
        for (start, chunk) in (0..).step_by(CHUNK).zip(self.row.chunks(CHUNK)) {
            let mut any = false;
            for x in chunk {
                any |= *x == self.number;
            }
            if any {
                return (start..).zip(chunk).find(|(_, x)| **x == self.number).map(|(column, _)| column);
            }
        }
        None
    }
}

/// The `count` greatest numbers with their columns, in no order.
struct Heads<'a> {
    row: &'a [f32],
    count: usize,
}

impl Kernel for Heads<'_> {
    type Output = Vec<(f32, u32)>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Vec<(f32, u32)> {
        let Self { row, count } = self;
        let mut found: Vec<(f32, u32)> = Vec::with_capacity(2 * count.min(row.len()) + CHUNK);
        // The least of the `count` greatest so far, once there are as many. An equal number comes later and loses.
        let mut floor = None;
        for (start, chunk) in (0..).step_by(CHUNK).zip(row.chunks(CHUNK)) {
            if let Some(floor) = floor {
                let mut beaten = false;
                for x in chunk {
                    beaten |= *x > floor;
                }
                if !beaten {
                    continue;
                }
            }
            for (column, x) in (start..).zip(chunk) {
                if floor.is_none_or(|floor| *x > floor) {
                    found.push((*x, column));
                }
            }
            if found.len() >= count.saturating_mul(2) {
                floor = cut(&mut found, count);
            }
        }
        cut(&mut found, count);
        found
    }
}

/// Keeps the `count` greatest; the least of them.
fn cut(found: &mut Vec<(f32, u32)>, count: usize) -> Option<f32> {
    if found.len() < count {
        return None;
    }
    let (_, last, _) = found.select_nth_unstable_by(count - 1, descending);
    let last = last.0;
    found.truncate(count);
    Some(last)
}

/// `sum(exp(x - highest))`, in lanes of double precision.
struct Sum<'a> {
    row: &'a [f32],
    highest: f32,
}

impl Kernel for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        const LANES: usize = 16;
        let Self { row, highest } = self;
        let (chunks, rest) = row.as_chunks::<LANES>();
        let mut sums = [0.0_f64; LANES];
        for chunk in chunks {
            let mut terms = [0.0_f32; LANES];
            for lane in 0..LANES {
                terms[lane] = exp::<S>(chunk[lane] - highest);
            }
            for lane in 0..LANES {
                sums[lane] += f64::from(terms[lane]);
            }
        }
        let mut sum = 0.0;
        for lane in sums {
            sum += lane;
        }
        for x in rest {
            sum += f64::from(exp::<S>(x - highest));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few different numbers, so that many are equal, and infinities.
    fn row(state: &mut u32, length: usize) -> Vec<f32> {
        let mut number = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match *state >> 24 {
                0 => f32::NEG_INFINITY,
                1 => -0.0,
                2 => 0.0,
                other => f32::from(u8::try_from(other / 8).unwrap_or(0)) - 16.0,
            }
        };
        (0..length).map(|_| number()).collect()
    }

    #[test]
    fn it_is_the_head_of_the_sorted_row() {
        let mut state = 1;
        for length in [1_usize, 2, 31, 32, 33, 100, 1000, 5001] {
            for count in [0, 1, 2, 3, 17, 64, 300, 6000] {
                let row = row(&mut state, length);
                let mut columns: Vec<usize> = (0..length).collect();
                columns.sort_by(|a, b| row[*b].partial_cmp(&row[*a]).expect("numbers"));
                columns.truncate(count);
                let found = greatest(&row, count).expect("numbers");
                let of = |column: &u32| usize::try_from(*column).expect("small");
                assert_eq!(found.columns.iter().map(of).collect::<Vec<_>>(), columns, "{count} of {length}");
                assert!(found.numbers.iter().zip(&columns).all(|(x, column)| *x == row[*column]));
            }
        }
    }

    #[test]
    fn what_is_no_number_is_noticed_wherever_it_stands() {
        for place in [0, 31, 32, 95, 96, 99] {
            let mut row = vec![1.0; 100];
            row[place] = if place % 2 == 0 { f32::NAN } else { -f32::NAN };
            assert_eq!([1, 5, 200].map(|count| greatest(&row, count)), [None, None, None]);
        }
    }

    #[test]
    fn sums_are_those_in_double_precision() {
        let mut state = 7;
        for length in [1, 15, 16, 50, 3001] {
            let row: Vec<f32> = row(&mut state, length).iter().map(|x| x.max(-200.0) * 1.7).collect();
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exact: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            assert!((log_sum_exp(&row, highest) - exact.ln()).abs() < 1e-6, "{length}");
        }
    }
}
