//! A tile of a product: some rows, one panel of columns, the sums kept in registers.
//!
//! Each sum runs over the depth in order, one fused step for each number, however many rows the tile has and however
//! the depth is cut. So a row's result does not depend on the rows beside it.

use crate::simd::{Simd, Weight};

/// Operands of a tile: `c = a b`, or `c += a b`.
#[derive(Clone, Copy)]
pub(crate) struct Tile<W> {
    /// Numbers in each sum.
    pub(crate) depth: usize,
    /// The first row, of `depth` numbers.
    pub(crate) a: *const f32,
    /// From a row of `a` to the next.
    pub(crate) a_stride: usize,
    /// `[depth, panel]`, without gaps.
    pub(crate) b: *const W,
    /// The first row of the result, of a panel's numbers.
    pub(crate) c: *mut f32,
    /// From a row of `c` to the next.
    pub(crate) c_stride: usize,
    /// Whether `c` holds the sums so far.
    pub(crate) accumulate: bool,
}

impl<W: Weight> Tile<W> {
    /// Computes `ROWS` rows of `VECTORS` vectors.
    ///
    /// # Safety
    /// The processor has `S`, and the pointers lead to as much as the sizes say.
    #[inline(always)]
    #[expect(unsafe_code, reason = "the innermost loop checks nothing")]
    pub(crate) unsafe fn compute<S: Simd, const VECTORS: usize, const ROWS: usize>(self) {
        // SAFETY: the caller's promise; all offsets are below the sizes.
        unsafe {
            let at = |row: usize, vector: usize| self.c.add(row * self.c_stride + vector * S::LANES);
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            if self.accumulate {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = S::load(at(row, vector));
                    }
                }
            }
            for k in 0..self.depth {
                let b: [S::Vector; VECTORS] =
                    std::array::from_fn(|vector| W::load::<S>(self.b.add((k * VECTORS + vector) * S::LANES)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = S::splat(*self.a.add(row * self.a_stride + k));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = S::multiply_add(a, b, *sum);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (vector, sum) in sums.iter().enumerate() {
                    S::store(at(row, vector), *sum);
                }
            }
        }
    }
}

/// Operands of a tile of integers.
#[derive(Clone, Copy)]
pub(crate) struct IntegerTile {
    /// Words in each row of `a`: a group of weights each.
    pub(crate) groups: usize,
    /// The first row; a word holds `GROUP` numbers of 0 to 255, of 8 or 16 bits.
    pub(crate) a: *const u32,
    /// From a row of `a` to the next.
    pub(crate) a_stride: usize,
    /// `[groups, panel, GROUP]`, without gaps.
    pub(crate) b: *const i8,
    /// `[rows, panel]`
    pub(crate) c: *mut i32,
}

/// Calls a function for a constant number of rows.
macro_rules! by_rows {
    ($rows:expr, $tile:ident.$compute:ident::<$simd:ty, $vectors:ident>, $($count:literal)*) => {
        match $rows {
            $($count => $tile.$compute::<$simd, $vectors, $count>(),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    ($rows:expr, $compute:ident::<$shape:ident>, $tile:ident, $($count:literal)*) => {
        match $rows {
            $($count => $compute::<$shape, $count>($tile),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    ($rows:expr, $compute:ident, $tile:ident, $($count:literal)*) => {
        match $rows {
            $($count => $compute::<$count>($tile),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
pub(crate) use by_rows;
