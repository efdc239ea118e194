//! What an architecture writes that is no operator, but made of some.

use crate::infer::MOST_NUMBERS;
use crate::{Builder, Dim, Value};

impl Builder {
    /// Ones, `[1, width]`, of at most 65536 columns: such as the weight of a norm that has none.
    #[track_caller]
    #[must_use]
    pub fn ones(&self, width: u32) -> Value {
        self.alike(width, 1.0)
    }

    /// Zeros, `[1, width]`, of at most 65536 columns.
    #[track_caller]
    #[must_use]
    pub fn zeros(&self, width: u32) -> Value {
        self.alike(width, 0.0)
    }

    #[track_caller]
    fn alike(&self, width: u32, number: f64) -> Value {
        // One more than may be is refused as any other number of them is.
        self.constant(vec![number; width.min(MOST_NUMBERS + 1) as usize])
    }

    /// A vector `[w]` as a row `[1, w]`, of which columns can be taken.
    #[track_caller]
    #[must_use]
    pub fn row(&self, vector: &Value) -> Value {
        match vector.shape().dims() {
            [Dim::Fixed(width)] => self.zeros(1).linear(&self.zeros(*width).transpose(), Some(vector)),
            _ => vector.clone(),
        }
    }
}

impl Value {
    /// `count` values of equal width side by side, apart again; none where `count` does not divide the width.
    #[track_caller]
    #[must_use]
    pub fn split<const N: usize>(&self) -> [Self; N] {
        let count = u32::try_from(N).unwrap_or(u32::MAX);
        // A misuse has no width; taking columns of it then adds nothing to what is reported.
        let width = self.shape().width().unwrap_or(0) / count.max(1);
        let mut start = 0;
        [(); N].map(|()| {
            let part = self.columns(start, width);
            start += width;
            part
        })
    }

    /// Of each of `parts` parts of a row its first `1 / N`, its second and so on: `[rows, parts * N * w]` gives `N` times
    /// `[rows, parts * w]`. So a fused product of queries, keys and values that has them side by side for each head is taken
    /// apart, as `view(.., heads, N, w)` and `unbind(-2)` do. Of a weight, [transposed](Self::transpose), it is done once, while
    /// the model loads; of what is computed from tokens in each run.
    #[must_use]
    #[track_caller]
    pub fn split_each<const N: usize>(&self, parts: u32) -> [Self; N] {
        let count = u32::try_from(N).unwrap_or(u32::MAX);
        let all = self.shape().width().unwrap_or(0);
        let pieces = count.checked_mul(parts).filter(|pieces| *pieces > 0 && all.is_multiple_of(*pieces));
        let Some(width) = pieces.map(|pieces| all / pieces).filter(|width| *width > 0) else {
            // Told by the columns that are not there.
            let none = self.columns(all, 0);
            return [(); N].map(|()| none.clone());
        };
        let mut first = 0;
        [(); N].map(|()| {
            let mut joined: Vec<Self> =
                (0..parts).map(|part| self.columns((part * count + first) * width, width)).collect();
            first += 1;
            // In pairs, so that few columns are copied often.
            while joined.len() > 1 {
                let pair = |pair: &[Self]| if let [a, b] = pair { a.join(b, 1) } else { pair[0].clone() };
                joined = joined.chunks(2).map(pair).collect();
            }
            joined.remove(0)
        })
    }
}
