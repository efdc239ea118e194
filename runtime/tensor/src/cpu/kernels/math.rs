//! Functions of one number without branches, so that loops over them become vector code.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// 1.5 * 2^23: added to a number of magnitude below 2^22, it leaves the nearest whole number in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// `e^x` within 2 units in the last place; below -87.3 and above 88.3 the value there.
///
/// Cephes' `expf` (<https://www.netlib.org/cephes/>): `2^n e^r` with `|r| <= ln 2 / 2` and a polynomial for `e^r`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first of few enough bits that n times it is exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * r * r + r + 1.0) * scale
}

/// The error function within 4e-7.
///
/// The rational approximation of Eigen's `erf` for single precision (MPL-2.0 code, coefficients only).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let t = x * x;
    let mut p = -2.726_142_3e-10;
    p = p * t + 2.770_681_5e-8;
    p = p * t - 2.101_024e-6;
    p = p * t - 5.692_506_5e-5;
    p = p * t - 7.349_906_3e-4;
    p = p * t - 2.954_6e-3;
    p = p * t - 1.609_603_3e-2;
    let mut q = -1.456_607_2e-5;
    q = q * t - 2.133_740_5e-4;
    q = q * t - 1.682_827e-3;
    q = q * t - 7.373_329_3e-3;
    q = q * t - 1.426_473_9e-2;
    x * p / q
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `x (1 + erf(x / sqrt 2)) / 2`
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// `x sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, equal to `x (1 + tanh u) / 2`.
#[inline(always)]
pub(super) fn gelu_tanh(x: f32) -> f32 {
    let u = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    x * sigmoid(2.0 * u)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=10_000u16).map(move |step| from + (to - from) * f32::from(step) / 10_000.0)
    }

    /// erf by its Taylor series in double precision: good to 1e-8 for |x| <= 4.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn exp_agrees_with_double_precision() {
        for x in grid(-87.0, 88.0) {
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-7, "exp({x}) = {}, not {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::MAX).is_finite());
    }

    #[test]
    fn erf_agrees_with_its_series() {
        for x in grid(-4.0, 4.0) {
            let expected = erf_series(f64::from(x));
            assert!((f64::from(erf(x)) - expected).abs() < 4e-7, "erf({x}) = {}, not {expected}", erf(x));
        }
    }

    #[test]
    fn both_gelus_agree_with_their_formulas() {
        for x in grid(-6.0, 6.0) {
            let wide = f64::from(x);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            assert!((f64::from(gelu_tanh(x)) - 0.5 * wide * (1.0 + u.tanh())).abs() < 1e-6, "gelu_tanh({x})");
            let z = (wide / 2f64.sqrt()).clamp(-4.0, 4.0);
            assert!((f64::from(gelu(x)) - 0.5 * wide * (1.0 + erf_series(z))).abs() < 2e-6, "gelu({x})");
        }
    }
}
