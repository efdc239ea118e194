//! What is wanted of the rows that are asked for: all of their numbers, or no more than a choice among them needs.
//!
//! A row of scores is as wide as a vocabulary, and hardly anyone looks at all of it. Devices list the greatest numbers
//! where they are, and copy nothing else; [`Found::settle`] says for all of them when a list is as good as its row.

/// What is wanted of a row. A row of which a list does not say enough is given whole, whatever was wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All of its numbers.
    #[default]
    Row,
    /// Some of them.
    Greatest(Greatest),
}

/// The greatest numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greatest {
    /// How many, at least; fewer where the row has no more.
    pub count: usize,
    /// Whether those belong to them too that equal the last of them, or come within a millionth of it: they may be equal
    /// once they are divided.
    pub ties: bool,
    /// Whether the row's `ln(sum(exp(x)))` is wanted too.
    pub log_sum_exp: bool,
}

/// A row's greatest numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortlist {
    /// Their columns, that of the greatest first, of equal ones the lowest first.
    pub columns: Vec<u32>,
    /// The numbers, of which the first is finite, and none is NaN.
    pub numbers: Vec<f32>,
    /// `ln(sum(exp(x)))` over the whole row, within some 1e-6, where it was wanted.
    pub log_sum_exp: Option<f64>,
}

/// Numbers that are listed at most. Longer lists cost about as much as the row.
const LONGEST: usize = 256;

/// Numbers behind the last that is wanted, by which it shows that no other ties with it.
const SPARE: usize = 8;

/// How near two numbers are that may be equal once they are divided, as a share of one of them.
const NEAR: f32 = 1e-6;

/// Beyond these, what is divided by a temperature may be infinite, or zero.
const LARGEST: f32 = 1e30;
const SMALLEST: f32 = 1e-30;

impl Greatest {
    /// How many numbers of a row of `width` a device lists; `None` where it had better give the row.
    pub(crate) fn listed(self, width: usize) -> Option<usize> {
        let count = if self.ties { self.count.saturating_add(SPARE) } else { self.count };
        (count <= LONGEST && width > 0).then(|| count.clamp(1, width))
    }
}

/// What a device has found in a row: as many numbers as [`Greatest::listed`] says, in the order of [`Shortlist`].
pub(crate) struct Found {
    pub(crate) columns: Vec<u32>,
    pub(crate) numbers: Vec<f32>,
}

impl Found {
    /// What was wanted of a row of `width`, but for the sum. `None` where the greatest is no number to calculate with, or
    /// others may tie with the last that is wanted.
    pub(crate) fn settle(self, wanted: Greatest, width: usize) -> Option<Shortlist> {
        let Self { columns, numbers } = self;
        // Written so that it holds for numbers alone.
        let fits = |number: f32| number.abs() <= LARGEST;
        let is_settled = fits(*numbers.first()?)
            && (!wanted.ties || numbers.len() == width || {
                let (least, last) = (*numbers.get(wanted.count.max(1) - 1)?, *numbers.last()?);
                fits(least) && last < least - least.abs() * NEAR - SMALLEST
            });
        is_settled.then_some(Shortlist { columns, numbers, log_sum_exp: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(numbers: &[f32], count: usize, ties: bool, width: usize) -> bool {
        let found = Found { columns: (0..).take(numbers.len()).collect(), numbers: numbers.to_vec() };
        found.settle(Greatest { count, ties, log_sum_exp: false }, width).is_some()
    }

    #[test]
    fn a_list_holds_where_nothing_behind_it_can_matter() {
        assert!(settle(&[3.0], 1, false, 100) && settle(&[-0.0], 1, false, 1));
        assert!(settle(&[3.0, 3.0, 2.9], 2, true, 100));
        // All equal, but there is nothing behind.
        assert!(settle(&[3.0, 3.0, 3.0], 2, true, 3));
        assert!(!settle(&[3.0, 3.0, 3.0], 2, true, 4));
        assert!(!settle(&[3.0, 3.0, 2.999_999], 2, true, 4) && settle(&[3.0, 3.0, 2.999_99], 2, true, 4));
        assert!(!settle(&[0.0, -1e-36], 1, true, 4) && settle(&[0.0, -1e-6], 1, true, 4));
        // Two thirds of the row are ruled out.
        assert!(settle(&[3.0, 2.0, f32::NEG_INFINITY], 2, true, 9));
        assert!(!settle(&[3.0, f32::NEG_INFINITY, f32::NEG_INFINITY], 2, true, 9));
        for strange in [f32::NAN, f32::INFINITY, 1e31, f32::NEG_INFINITY, -1e31] {
            assert!(!settle(&[strange], 1, false, 5), "{strange}");
        }
    }

    #[test]
    fn lists_end_where_the_row_costs_as_much() {
        let listed = |count, ties, width| Greatest { count, ties, log_sum_exp: false }.listed(width);
        assert_eq!((listed(1, false, 9), listed(0, false, 9), listed(5, true, 9)), (Some(1), Some(1), Some(9)));
        assert_eq!(
            (listed(256, false, 999), listed(249, true, 999), listed(usize::MAX, true, 9)),
            (Some(256), None, None)
        );
        assert_eq!(listed(1, false, 0), None);
    }
}
