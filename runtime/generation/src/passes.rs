//! Passes over rows of scores, written so that the compiler makes vector instructions of them: no early ends, no calls,
//! sums in lanes.

use crate::Error;

const LANES: usize = 16;

/// The highest score; `-inf` of none. What is no number is passed over.
pub(crate) fn highest(scores: &[f32]) -> f32 {
    look(scores).0
}

/// The highest score of a row, none of which may be NaN.
pub(crate) fn highest_number(scores: &[f32]) -> Result<f32, Error> {
    let (highest, is_number) = look(scores);
    if is_number {
        return Ok(highest);
    }
    let nan = scores.iter().position(|score| score.is_nan());
    Err(Error::NoNumber { token: nan.unwrap_or(0) })
}

/// The highest score, and whether all are numbers.
fn look(scores: &[f32]) -> (f32, bool) {
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut found = [0_u32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            best[lane] = if chunk[lane] > best[lane] { chunk[lane] } else { best[lane] };
            found[lane] |= u32::from(chunk[lane].is_nan());
        }
    }
    let highest = best.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    (highest, found == [0; LANES] && !rest.iter().any(|score| score.is_nan()))
}

/// Shows each chunk that has a score of at least `bound`, with the place of its first.
pub(crate) fn for_chunks_with(scores: &[f32], bound: f32, mut show: impl FnMut(usize, &[f32])) {
    for (start, chunk) in (0..).step_by(LANES).zip(scores.chunks(LANES)) {
        let mut any = false;
        for score in chunk {
            any |= *score >= bound;
        }
        if any {
            show(start, chunk);
        }
    }
}

/// `exp(score - highest)` of each, in `weights`, and their sum. Scores are at most `highest`; where that is infinite,
/// those that equal it share.
pub(crate) fn weights(scores: &[f32], highest: f32, weights: &mut Vec<f32>) -> f64 {
    weights.clear();
    if highest.is_infinite() {
        weights.extend(scores.iter().map(|score| if *score == highest { 1.0 } else { 0.0 }));
    } else {
        weights.extend(scores.iter().map(|score| exp(score - highest)));
    }
    sum(weights)
}

/// `sum(exp(score - highest))`, of scores of at most `highest`.
pub(crate) fn sum_exp(scores: &[f32], highest: f32) -> f64 {
    if highest.is_infinite() {
        return scores.iter().map(|score| if *score == highest { 1.0 } else { 0.0 }).sum();
    }
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut sums = [0.0_f64; LANES];
    for chunk in chunks {
        let weights = chunk.map(|score| exp(score - highest));
        for lane in 0..LANES {
            sums[lane] += f64::from(weights[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|score| f64::from(exp(score - highest))).sum::<f64>()
}

pub(crate) fn sum(weights: &[f32]) -> f64 {
    let (chunks, rest) = weights.as_chunks::<LANES>();
    let mut sums = [0.0_f64; LANES];
    for chunk in chunks {
        for (sum, weight) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*weight);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|weight| f64::from(*weight)).sum::<f64>()
}

/// `e^x` for `x <= 0`, within two units in the last place; 0 below -87, where numbers would be subnormal. The standard
/// library's is a call for each number, and five times slower.
///
/// `x = n ln 2 + r` with whole `n`, and a polynomial for `e^r` (Cephes, `expf`).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it leaves the whole part in the lowest bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    let clamped = if x > -87.0 { x } else { -87.0 };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, of which the first times `n` is exact.
    let r = clamped - n * (355.0 / 512.0) + n * 2.121_944_4e-4;
    let mut sum = 1.987_569_2e-4_f32;
    for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        sum = sum * r + factor;
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let result = (sum * r * r + r + 1.0) * power;
    if x > -87.0 { result } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::narrow;

    #[test]
    fn exp_is_that_of_the_standard_library() {
        for step in 0..870_000_u32 {
            let x = -narrow(f64::from(step) / 10_000.0);
            let exact = f64::from(x).exp();
            let off = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(off < 2.4e-7, "{x}: {off}");
        }
        assert_eq!((exp(0.0), exp(-0.0), exp(-88.0), exp(f32::NEG_INFINITY)), (1.0, 1.0, 0.0, 0.0));
    }

    #[test]
    fn passes_do_not_hang_on_where_chunks_end() {
        for length in [0, 1, 15, 16, 17, 100] {
            let scores: Vec<f32> = (0..length).map(|place: u8| f32::from(place * 37 % 101) - 90.0).collect();
            assert_eq!(highest(&scores), scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let mut shown = vec![false; scores.len()];
            for_chunks_with(&scores, -20.0, |start, chunk| {
                assert_eq!(scores[start..start + chunk.len()], *chunk);
                shown[start..start + chunk.len()].fill(true);
            });
            assert!((0..scores.len()).all(|place| shown[place] || scores[place] < -20.0));
            let mut collected = Vec::new();
            let total = weights(&scores, highest(&scores), &mut collected);
            let exact: f64 = scores.iter().map(|score| f64::from(score - highest(&scores)).exp()).sum();
            assert!((total - exact).abs() <= 1e-6 * exact && (sum_exp(&scores, highest(&scores)) - total).abs() < 1e-9);
            for place in 0..scores.len() {
                let mut scores = scores.clone();
                assert_eq!(highest_number(&scores), Ok(highest(&scores)));
                scores[place] = f32::NAN;
                assert_eq!(highest_number(&scores), Err(Error::NoNumber { token: place }));
            }
        }
    }
}
