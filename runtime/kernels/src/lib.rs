//! Kernels for the processor: what a compiled graph spends its time in.
//!
//! Products of activations with weights that were packed once ([`Packed`], [`Product`]), attention over packed sequences
//! ([`Attention`]), and what goes row by row. Each is written once over vectors of any instruction set and compiled for
//! AVX-512, AVX2, NEON and none; [`Isa`] chooses when the program runs. Steps are shared by the threads of a [`Team`].
//!
//! What holds for all of them: a row of a result has the same bits whatever rows are computed with it and by however many
//! threads. What is left out: shapes are checked by whoever compiles a graph; here a wrong length is a panic.

mod activation;
mod aligned;
mod attention;
mod blocks;
mod chunk;
mod convolution;
mod experts;
mod greatest;
mod math;
mod norm;
mod packed;
mod pool;
mod product;
mod recurrent;
mod reduce;
mod rotary;
mod rows;
mod shared;
mod simd;
mod team;
mod tile;

pub use activation::Activation;
pub use aligned::Buffer;
pub use attention::{Attention, AttentionScratch, BLOCK, CachedAttention, Columns, Kept, Past, Place, Relative};
pub use blocks::{BlockType, Factors, Layout as BlockLayout, Unpacked};
pub use convolution::{Convolution, neighbours};
pub use experts::Routing;
pub use greatest::{Greatest, greatest, log_sum_exp};
pub use norm::Norm;
pub use packed::{Packed, Precision};
pub use pool::Pooling;
pub use product::{Finish, Product, Quantized};
pub use recurrent::{CausalConvolution, Scanned, SelectiveScan, States};
pub use rotary::Rotary;
pub use rows::{Binary, Correction, Table, combine, copy_columns, join, look_up_rows, scale, scale_rows, select_rows};
pub use simd::Isa;
pub use team::Team;
