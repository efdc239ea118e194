//! The files of sentence-transformers in a model's folder: which modules make a vector of a text, what is put in front of
//! it, and how vectors are compared.
//!
//! `modules.json` lists the modules: a transformer, whose files are at the root or in a folder of its own, then pooling,
//! and what is done to the vector. They run here, on the host, in single precision and in a fixed order of the sums,
//! so that a vector is the same bit for bit whatever shared the batch. A folder without these files is a transformer
//! whose tokens are averaged.

mod dense;
mod error;
mod fields;
mod modules;
mod pooling;
mod settings;
mod similarity;

pub use error::SentenceError;
pub(crate) use modules::{Module, Modules};
pub(crate) use pooling::{Mode, Pooling};
pub(crate) use settings::{Settings, TransformerSettings, activation_name};
pub(crate) use similarity::SimilarityFunction;

/// The sum of products, in eight parts that are added up in order.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Scales a vector to length 1, but for one of zeros.
pub(crate) fn normalize(vector: &mut [f32]) {
    /// `eps` of `torch.nn.functional.normalize`.
    const SHORTEST: f32 = 1e-12;
    let length = dot(vector, vector).sqrt().max(SHORTEST);
    vector.iter_mut().for_each(|x| *x /= length);
}
