//! Functions of one number without branches, so that loops over them become vector code.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use crate::simd::{Simd, multiply_add};

/// 1.5 * 2^23: added to a number of magnitude below 2^22, it leaves the nearest whole number in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// A polynomial by Horner's rule, the highest coefficient first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = multiply_add::<S>(sum, x, *coefficient);
    }
    sum
}

/// `e^x` within 2 units in the last place; below -87.3 and above 88.3 the value there.
///
/// Cephes' `expf` (<https://www.netlib.org/cephes/>): `2^n e^r` with `|r| <= ln 2 / 2` and a polynomial for `e^r`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.3);
    let shifted = multiply_add::<S>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first of few enough bits that n times it is exact.
    let r = multiply_add::<S>(n, 2.121_944_4e-4, multiply_add::<S>(n, -0.693_359_4, x));
    let p = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let p = polynomial::<S, 6>(r, p);
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (multiply_add::<S>(p * r, r, r) + 1.0) * scale
}

/// The error function within 4e-7.
///
/// The rational approximation of Eigen's `erf` for single precision (MPL-2.0 code, coefficients only).
#[inline(always)]
pub(crate) fn erf<S: Simd>(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let t = x * x;
    let p = [
        -2.726_142_3e-10,
        2.770_681_5e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    let q = [-1.456_607_2e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2];
    x * polynomial::<S, 7>(t, p) / polynomial::<S, 5>(t, q)
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<S>(-x))
}

/// `tanh x = 2 sigmoid(2 x) - 1`, within 2e-7.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: f32) -> f32 {
    2.0 * sigmoid::<S>(2.0 * x) - 1.0
}

/// `log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)`, within 3e-7 of itself.
///
/// `log(1 + u) = 2 atanh z` with `z = u / (2 + u)`, at most a third, and the series of the inverse hyperbolic tangent.
#[inline(always)]
pub(crate) fn softplus<S: Simd>(x: f32) -> f32 {
    let u = exp::<S>(-x.abs());
    let z = u / (2.0 + u);
    let p = [2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0];
    multiply_add::<S>(polynomial::<S, 7>(z * z, p), z, x.max(0.0))
}

/// `x (1 + erf(x / sqrt 2)) / 2`
#[inline(always)]
pub(crate) fn gelu<S: Simd>(x: f32) -> f32 {
    0.5 * x * (1.0 + erf::<S>(x * FRAC_1_SQRT_2))
}

/// `x sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, equal to `x (1 + tanh u) / 2`.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(x: f32) -> f32 {
    let u = 0.797_884_6 * multiply_add::<S>(0.044_715 * x * x, x, x);
    x * sigmoid::<S>(2.0 * u)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::simd::Avx2 as Fused;
    #[cfg(target_arch = "aarch64")]
    use crate::simd::Neon as Fused;
    use crate::simd::Plain;

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
    fn functions_agree_with_double_precision() {
        exp_agrees::<Plain>();
        exp_agrees::<Fused>();
        softplus_agrees::<Plain>();
        softplus_agrees::<Fused>();
        tanh_agrees::<Plain>();
        tanh_agrees::<Fused>();
        erf_agrees_with_its_series::<Plain>();
        erf_agrees_with_its_series::<Fused>();
        both_gelus_agree_with_their_formulas::<Plain>();
        both_gelus_agree_with_their_formulas::<Fused>();
    }

    fn exp_agrees<S: Simd>() {
        for x in grid(-87.0, 88.0) {
            let expected = f64::from(x).exp();
            assert!(
                (f64::from(exp::<S>(x)) / expected - 1.0).abs() < 3e-7,
                "exp({x}) = {}, not {expected}",
                exp::<S>(x)
            );
        }
        assert_eq!(exp::<S>(0.0), 1.0);
        assert!(exp::<S>(f32::NEG_INFINITY) < 1e-37 && exp::<S>(f32::MAX).is_finite());
    }

    fn softplus_agrees<S: Simd>() {
        for x in grid(-80.0, 80.0).chain(grid(-2.0, 2.0)) {
            let expected = f64::from(x).exp().ln_1p();
            let found = f64::from(softplus::<S>(x));
            assert!((found / expected - 1.0).abs() < 5e-7, "softplus({x}) = {found}, not {expected}");
        }
        assert_eq!(softplus::<S>(1e30), 1e30);
    }

    fn tanh_agrees<S: Simd>() {
        for x in grid(-20.0, 20.0) {
            let expected = f64::from(x).tanh();
            assert!((f64::from(tanh::<S>(x)) - expected).abs() < 2e-7, "tanh({x}) = {}, not {expected}", tanh::<S>(x));
        }
    }

    fn erf_agrees_with_its_series<S: Simd>() {
        for x in grid(-4.0, 4.0) {
            let expected = erf_series(f64::from(x));
            assert!((f64::from(erf::<S>(x)) - expected).abs() < 4e-7, "erf({x}) = {}, not {expected}", erf::<S>(x));
        }
    }

    fn both_gelus_agree_with_their_formulas<S: Simd>() {
        for x in grid(-6.0, 6.0) {
            let wide = f64::from(x);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            assert!((f64::from(gelu_tanh::<S>(x)) - 0.5 * wide * (1.0 + u.tanh())).abs() < 1e-6, "gelu_tanh({x})");
            let z = (wide / 2f64.sqrt()).clamp(-4.0, 4.0);
            assert!((f64::from(gelu::<S>(x)) - 0.5 * wide * (1.0 + erf_series(z))).abs() < 2e-6, "gelu({x})");
        }
    }
}
