//! Every kernel against a reference in double precision, on every adapter, with random shapes.
//!
//! Each adapter is opened with what makes it faster, with all that it can do, and with as little as kernels can do with. References are written here,
//! number by number from the definitions. The tolerance is stated with each comparison, relative to the largest number of
//! the expected result (`support::close`).
//!
//! Without an adapter these tests fail, unless `RUNTIME_NO_GPU=1` says that there is none.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "references are in double precision, and numbers are small"
)]

mod attention;
mod cooperative;
mod experts;
mod failures;
mod kept;
mod product;
mod recurrent;
mod rows;
mod sequences;
mod support;
mod threads;
mod top;
