//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>).

/// How the heads of a value are rotated by the positions of their tokens.
///
/// In each head, with `f` frequencies, column `i` and column `i + f` are rotated by `position * frequencies[i]`; columns from
/// `2 f` on stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Columns of a head.
    pub head_size: u32,
    /// Radians for each position, at most half as many as a head has columns.
    pub frequencies: Vec<f64>,
    /// Factor of what is rotated: 1 but where a long context is scaled (YaRN).
    pub factor: f64,
}

impl Rotary {
    /// Frequencies `theta^(-2 i / size)` over the first `size` columns of a head.
    pub fn plain(head_size: u32, size: u32, theta: f64) -> Self {
        let frequency = |i: u32| 1.0 / libm::pow(theta, f64::from(2 * i) / f64::from(size));
        Self { head_size, frequencies: (0..size / 2).map(frequency).collect(), factor: 1.0 }
    }
}
