//! What the distance between two tokens adds to their attention score.
//!
//! The tables have a row for each bucket of distances, and fewer for far ones. Which bucket a distance is in depends on
//! rounding, so the formulas run in single precision and in the order of transformers.

/// What the distance between two tokens adds to their attention score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relative {
    /// A number for each bucket and head, in a fourth operand `[buckets, heads]` (T5, MPNet).
    Bias {
        /// From this distance on all are in one bucket.
        max_distance: u32,
    },
    /// The distance times a slope of each head, taken away, in a fourth operand `[heads]` or `[1, heads]` (ALiBi,
    /// <https://arxiv.org/abs/2108.12409>).
    Alibi,
    /// Products of contents and positions (DeBERTa, <https://arxiv.org/abs/2006.03654>), times the scale. Each of the
    /// operands is `[2 * span, heads * d]`, and its row is [`disentangled_row`].
    Disentangled {
        /// Whether the query's content meets the key's position, in an operand `position keys`.
        keys: bool,
        /// Whether the key's content meets the query's position, in an operand `position queries`.
        queries: bool,
        /// The distance that the last bucket reaches, where distances beyond half of the span share buckets; else a
        /// row is a distance, and those beyond the span share the last.
        max_distance: Option<u32>,
    },
}

/// The slopes of ALiBi: for a power of two of heads, `2^(-max_bias * i / heads)` for `i` from 1 on. For another number, the
/// slopes of the power of two below it, and then every other one of that above, from the first on, as
/// `build_alibi_tensor` of BLOOM in transformers has it, where `max_bias` is 8. There are as many as `heads`, so a number that a
/// file gives is looked at before.
pub fn alibi_slopes(heads: u32, max_bias: f64) -> Vec<f64> {
    let slope = |place: u32, of: u32| (-max_bias * f64::from(place) / f64::from(of)).exp2();
    let below = if heads == 0 { 0 } else { 1 << heads.ilog2() };
    let first = (1..=below).map(|place| slope(place, below));
    let rest = (0..heads - below).map(|place| slope(2 * place + 1, 2 * below));
    first.chain(rest).collect()
}

/// The row for a key that is `offset` tokens behind its query, in a table of `buckets` rows. In a causal model only keys
/// before the query have rows; else half of the rows are for keys behind it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the formula is one of single precision, and truncates"
)]
pub fn bias_row(offset: i64, buckets: u32, max_distance: u32, causal: bool) -> u32 {
    let (first, buckets, distance) = match causal {
        true => (0, buckets, (-offset).max(0)),
        false => (if offset > 0 { buckets / 2 } else { 0 }, buckets / 2, offset.abs()),
    };
    let exact = buckets / 2;
    if distance < i64::from(exact) {
        return first + distance as u32;
    }
    let exact = f64::from(exact);
    let part = (distance as f32 / exact as f32).ln() / (f64::from(max_distance) / exact).ln() as f32;
    let beyond = part * (f64::from(buckets) - exact) as f32;
    first + (exact as u32).saturating_add(beyond as u32).min(buckets.saturating_sub(1))
}

/// The row for a key that is `distance` tokens before its query, in a table of `2 * span` rows.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the formula is one of single precision"
)]
pub fn disentangled_row(distance: i64, span: u32, max_distance: Option<u32>) -> u32 {
    let middle = i64::from(span / 2);
    let bucket = match max_distance {
        Some(max_distance) if distance.abs() > middle => {
            let reach = ((f64::from(max_distance) - 1.0) / middle as f64) as f32;
            let part = (distance.abs() as f32 / middle as f32).ln() / reach.ln();
            let bucket = (part * (middle - 1) as f32).ceil() as i64 + middle;
            bucket * distance.signum()
        }
        _ => distance,
    };
    let span = i64::from(span);
    bucket.saturating_add(span).clamp(0, 2 * span - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from `T5Attention._relative_position_bucket` and `make_log_bucket_position` of transformers 5.23.
    #[test]
    fn buckets_are_those_of_t5() {
        let rows = |causal| [-200, -20, -9, -7, 0, 3, 8, 40, 127, 500].map(|offset| bias_row(offset, 32, 128, causal));
        assert_eq!(rows(false), [15, 10, 8, 7, 0, 19, 24, 28, 31, 31]);
        assert_eq!(rows(true), [31, 17, 9, 7, 0, 0, 0, 0, 0, 0]);
    }

    // Recorded from `build_alibi_tensor` of transformers 5.23, in single precision.
    #[test]
    fn slopes_are_those_of_bloom() {
        assert_eq!(alibi_slopes(1, 8.0), [1.0 / 256.0]);
        assert_eq!(alibi_slopes(3, 8.0), [0.0625, 0.003_906_25, 0.25]);
        let twelve = [
            0.5,
            0.25,
            0.125,
            0.0625,
            0.031_25,
            0.015_625,
            0.007_812_5,
            0.003_906_25,
            0.707_106_769_1,
            0.353_553_384_5,
            0.176_776_677_4,
            0.088_388_338_7,
        ];
        let far = |(found, expected): (f64, &f64)| (found - expected).abs() > 1e-6 * expected;
        assert!(!alibi_slopes(12, 8.0).into_iter().zip(&twelve).any(far));
        assert!(alibi_slopes(0, 8.0).is_empty());
    }

    #[test]
    fn buckets_are_those_of_deberta() {
        let distances = [-600, -511, -200, -129, -128, -5, 0, 7, 128, 130, 300, 511, 600];
        assert_eq!(
            distances.map(|distance| disentangled_row(distance, 256, Some(512))),
            [0, 1, 87, 127, 128, 251, 256, 263, 384, 386, 463, 511, 511]
        );
        assert_eq!([-9, -4, 0, 3, 4, 9].map(|distance| disentangled_row(distance, 4, None)), [0, 0, 4, 7, 7, 7]);
    }
}
