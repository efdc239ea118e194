//! How alike two vectors are, by the functions of sentence-transformers.

use super::dot;

/// A function of two vectors that is greater for those that are more alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SimilarityFunction {
    Cosine,
    Dot,
    /// The distance, negated.
    Euclidean,
    /// The sum of the differences, negated.
    Manhattan,
}

impl SimilarityFunction {
    pub(crate) const NAMES: [(&'static str, Self); 4] =
        [("cosine", Self::Cosine), ("dot", Self::Dot), ("euclidean", Self::Euclidean), ("manhattan", Self::Manhattan)];

    /// The function that `similarity_fn_name` says.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    pub(crate) fn of(self, a: &[f32], b: &[f32]) -> f32 {
        let differences = || a.iter().zip(b).map(|(a, b)| a - b);
        match self {
            Self::Cosine => {
                let unit = |vector: &[f32]| {
                    let mut vector = vector.to_vec();
                    super::normalize(&mut vector);
                    vector
                };
                dot(&unit(a), &unit(b))
            }
            Self::Dot => dot(a, b),
            Self::Euclidean => -differences().map(|difference| difference * difference).sum::<f32>().sqrt(),
            Self::Manhattan => -differences().map(f32::abs).sum::<f32>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_is_its_formula() {
        let (a, b) = ([3.0, 4.0], [6.0, 8.0]);
        assert!((SimilarityFunction::Cosine.of(&a, &b) - 1.0).abs() < 1e-6);
        assert_eq!(SimilarityFunction::Dot.of(&a, &b), 50.0);
        assert_eq!(SimilarityFunction::Euclidean.of(&a, &b), -5.0);
        assert_eq!(SimilarityFunction::Manhattan.of(&a, &b), -7.0);
        assert_eq!(SimilarityFunction::Cosine.of(&a, &[0.0, 0.0]), 0.0);
        assert_eq!(SimilarityFunction::named("cosin"), None);
    }
}
