//! Which experts each row of a mixture goes to, and the sum of what they make of it.
//!
//! The rows are laid out by expert, so that each expert's product reads its weight once for all of its rows. A row's experts
//! are summed in the order of their numbers, so that its result does not depend on the rows beside it.

use std::ops::Range;

use crate::rows::by_rows;
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Simd};
use crate::team::Team;

/// Logits that are looked at in a task.
const LOGITS: usize = 1 << 13;

/// The experts of some rows. Its memory grows to what the largest batch needs.
#[derive(Default)]
pub struct Routing {
    /// Experts for each row.
    top_k: usize,
    /// The experts of each row, in order, `[rows, top_k]`.
    chosen: Vec<u32>,
    /// Their weights.
    weights: Vec<f32>,
    /// Where the rows of each expert end, laid out by expert.
    ends: Vec<usize>,
    /// The row that is at each place of that layout.
    rows: Vec<u32>,
    /// The place of each of a row's experts, `[rows, top_k]`.
    places: Vec<u32>,
}

impl Routing {
    /// Chooses the `top_k` experts of the greatest logits for each row of `logits [rows, experts]`, the first of equal ones.
    /// Their weights are the softmax over all, with `normalise` divided by the sum of those chosen.
    pub fn choose(&mut self, team: &Team<'_>, logits: &[f32], experts: usize, top_k: usize, normalise: bool) {
        assert!((1..=experts).contains(&top_k), "{top_k} of {experts} experts");
        let rows = logits.len() / experts;
        self.top_k = top_k;
        self.chosen.resize(rows * top_k, 0);
        self.weights.resize(rows * top_k, 0.0);
        let each = (LOGITS / experts).max(1);
        let (chosen, weights) = (Shared::new(&mut self.chosen), Shared::new(&mut self.weights));
        team.each(rows.div_ceil(each), &|task, _| {
            let range = task * each..rows.min((task + 1) * each);
            let places = range.start * top_k..range.end * top_k;
            // SAFETY: tasks have different rows.
            #[expect(unsafe_code, reason = "rows are cut up among tasks")]
            let (chosen, weights) = unsafe { (chosen.part(places.clone()), weights.part(places)) };
            let logits = logits[range.start * experts..range.end * experts].chunks_exact(experts);
            for ((logits, chosen), weights) in
                logits.zip(chosen.chunks_exact_mut(top_k)).zip(weights.chunks_exact_mut(top_k))
            {
                choose(logits, normalise, chosen, weights);
            }
        });
        self.lay_out(experts);
    }

    /// Counts the rows of each expert, and gives each its place.
    fn lay_out(&mut self, experts: usize) {
        self.ends.clear();
        self.ends.resize(experts, 0);
        for expert in &self.chosen {
            self.ends[*expert as usize] += 1;
        }
        let mut first = 0;
        for end in &mut self.ends {
            // For now where the expert's next row goes; that is its end once it has them all.
            let count = *end;
            *end = first;
            first += count;
        }
        self.rows.resize(self.chosen.len(), 0);
        self.places.resize(self.chosen.len(), 0);
        for ((row, chosen), places) in
            (0..).zip(self.chosen.chunks_exact(self.top_k)).zip(self.places.chunks_exact_mut(self.top_k))
        {
            for (expert, place) in chosen.iter().zip(places) {
                let next = &mut self.ends[*expert as usize];
                self.rows[*next] = row;
                #[expect(clippy::cast_possible_truncation, reason = "no more places than rows of a batch and experts")]
                {
                    *place = *next as u32;
                }
                *next += 1;
            }
        }
    }

    /// The row that is at each place, laid out by expert.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The places of each row's experts, `[rows, top_k]`.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// What each row's experts weigh in its sum, `[rows, top_k]`.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The experts that have rows, each with its places.
    pub fn experts(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let places = starts.zip(&self.ends).map(|(start, end)| start..*end);
        places.enumerate().filter(|(_, places)| !places.is_empty())
    }

    /// Fills `to [rows, width]` with the weighted sums of what is at each row's places in `x [places, width]`.
    pub fn sum(&self, team: &Team<'_>, x: &[f32], width: usize, to: &mut [f32]) {
        assert_eq!(x.len(), self.rows.len() * width, "a row for each place");
        assert_eq!(to.len() * self.top_k, x.len(), "a row for each row that was chosen for");
        let isa = Isa::best();
        by_rows(team, width, to, &|range, to| isa.run(Sum { routing: self, x, width, first: range.start, to }));
    }
}

/// The experts of one row in order, and their weights.
fn choose(logits: &[f32], normalise: bool, chosen: &mut [u32], weights: &mut [f32]) {
    // The next one is the greatest of those that come after the last one. Numbers come before what is no number.
    let order = |expert: usize| (if logits[expert].is_nan() { f32::NEG_INFINITY } else { logits[expert] }, expert);
    let before = |a: (f32, usize), b: (f32, usize)| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1);
    let mut last = None;
    for place in chosen.iter_mut() {
        let left = (0..logits.len()).map(order).filter(|expert| last.is_none_or(|last| before(last, *expert)));
        let next = left.reduce(|best, other| if before(other, best) { other } else { best });
        last = next;
        #[expect(clippy::cast_possible_truncation, reason = "experts are counted with 32 bits")]
        if let Some((_, expert)) = next {
            *place = expert as u32;
        }
    }
    chosen.sort_unstable();
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    for (weight, expert) in weights.iter_mut().zip(chosen.iter()) {
        *weight = (logits[*expert as usize] - largest).exp();
    }
    if normalise {
        sum = weights.iter().sum();
    }
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

struct Sum<'a> {
    routing: &'a Routing,
    x: &'a [f32],
    width: usize,
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { routing: Routing { top_k, weights, places, .. }, x, width, first, to } = self;
        let weights = weights[first * top_k..].chunks_exact(*top_k);
        let places = places[first * top_k..].chunks_exact(*top_k);
        for ((to, weights), places) in to.chunks_exact_mut(width).zip(weights).zip(places) {
            to.fill(0.0);
            for (weight, place) in weights.iter().zip(places) {
                let x = &x[*place as usize * width..][..width];
                to.iter_mut().zip(x).for_each(|(to, x)| *to += weight * x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows of five experts.
    const LOGITS: [f32; 20] = [
        0.0,
        2.0,
        1.0,
        -1.0,
        1.5, //
        3.0,
        3.0,
        3.0,
        3.0,
        3.0, //
        f32::NAN,
        -2.0,
        f32::NEG_INFINITY,
        0.5,
        -1.0, //
        -1.0,
        0.0,
        4.0,
        0.0,
        5.0,
    ];

    fn routing(logits: &[f32], top_k: usize, normalise: bool) -> Routing {
        let mut routing = Routing::default();
        routing.choose(&Team::alone(), logits, 5, top_k, normalise);
        routing
    }

    #[test]
    fn the_greatest_are_chosen_and_the_first_of_equal_ones() {
        let routing = routing(&LOGITS, 2, false);
        assert_eq!(routing.chosen, [1, 4, 0, 1, 3, 4, 2, 4]);
        assert_eq!(routing.rows(), [1, 0, 1, 3, 2, 0, 2, 3]);
        assert_eq!(routing.experts().collect::<Vec<_>>(), [(0, 0..1), (1, 1..3), (2, 3..4), (3, 4..5), (4, 5..8)]);
        // Softmax of the whole row.
        let all: f64 = [0.0f64, 2.0, 1.0, -1.0, 1.5].iter().map(|x| x.exp()).sum();
        for (weight, logit) in routing.weights.iter().zip([2.0f64, 1.5]) {
            assert!((f64::from(*weight) - logit.exp() / all).abs() < 1e-6);
        }
        assert!(routing.weights[4..6].iter().all(|weight| weight.is_nan()), "no number comes of none");
    }

    #[test]
    fn normalised_weights_sum_to_one_and_all_may_be_chosen() {
        let routing = routing(&LOGITS[..10], 5, true);
        assert_eq!(routing.chosen, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
        for weights in routing.weights.chunks_exact(5) {
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn sums_are_those_of_the_rows_alone() {
        let x: Vec<f32> = (0..24u8).map(|x| 0.37 * f32::from(x) - 3.0).collect();
        let logits: Vec<f32> = LOGITS.iter().map(|x| if x.is_finite() { *x } else { 0.25 }).collect();
        let together = routing(&logits, 2, true);
        let mut sums = [0.0; 12];
        together.sum(&Team::alone(), &x, 3, &mut sums);
        for row in 0..4 {
            let alone = routing(&logits[row * 5..(row + 1) * 5], 2, true);
            assert_eq!(alone.weights, together.weights[row * 2..(row + 1) * 2]);
            // What its experts made of it, at its places of the larger layout.
            let places = &together.places[row * 2..(row + 1) * 2];
            let own: Vec<f32> = places.iter().flat_map(|place| x[*place as usize * 3..][..3].to_vec()).collect();
            let mut sum = [0.0; 3];
            alone.sum(&Team::alone(), &own, 3, &mut sum);
            assert_eq!(sum, sums[row * 3..(row + 1) * 3]);
        }
    }
}
