//! Shapes with symbolic sizes.

use std::fmt;

/// One size of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// `n`: tokens in the batch, over all its sequences.
    Tokens,
    /// `m`: tokens of the source texts in the batch, which the encoder of a sequence-to-sequence model reads.
    Source,
    /// `s`: sequences in the batch.
    Sequences,
    /// `r`: rows asked for, such as the last token of each sequence.
    Rows,
    /// A size known when the graph is built.
    Fixed(u32),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens => f.write_str("n"),
            Self::Source => f.write_str("m"),
            Self::Sequences => f.write_str("s"),
            Self::Rows => f.write_str("r"),
            Self::Fixed(size) => size.fmt(f),
        }
    }
}

/// What a value's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Real numbers, in the precision that the plan computes with.
    Real,
    /// Indices into a table, such as token ids.
    Index,
}

/// The sizes of a value, outermost first; printed as `[n, 384]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape from its sizes.
    pub fn new(dims: impl Into<Vec<Dim>>) -> Self {
        Self(dims.into())
    }

    /// A shape of known sizes.
    pub fn fixed(sizes: &[u32]) -> Self {
        Self(sizes.iter().copied().map(Dim::Fixed).collect())
    }

    /// `[rows, width]`.
    pub fn matrix(rows: Dim, width: u32) -> Self {
        Self(vec![rows, Dim::Fixed(width)])
    }

    /// The sizes.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// How many sizes there are.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The last size, where it is a known one.
    pub fn width(&self) -> Option<u32> {
        match self.0.last() {
            Some(Dim::Fixed(width)) => Some(*width),
            _ => None,
        }
    }

    /// Rows and width of a `[rows, width]` shape of known width.
    pub fn as_matrix(&self) -> Option<(Dim, u32)> {
        match self.0[..] {
            [rows, Dim::Fixed(width)] => Some((rows, width)),
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, dim) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            dim.fmt(f)?;
        }
        f.write_str("]")
    }
}
