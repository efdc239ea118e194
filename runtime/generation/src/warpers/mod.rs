//! What sampling leaves of a distribution, in the order of transformers: temperature, top-h, top-k, top-p, min-p,
//! typical-p, epsilon, eta, and then renormalization.
//!
//! Each keeps a part of what the one before has left, which is as little as `top_k` from the start in most requests.

mod cutoff;
mod entropy;
mod histogram;
mod left;
mod nucleus;

use crate::numbers::{index, narrow};
use crate::passes::highest_number;
use crate::top::{Entry, Top};
use crate::{Error, GenerationConfig, Shortlist};
use histogram::Histogram;
use left::Left;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// Its score after all warpers.
    pub score: f32,
    /// Its probability among the candidates.
    pub prob: f32,
}

/// The warpers of one request, for all of its beams.
#[derive(Clone, Debug)]
pub struct Warpers {
    temperature: f32,
    filters: Vec<Filter>,
    renormalize: bool,
    /// Candidates that every filter keeps.
    least: usize,
    left: Left,
    candidates: Vec<Candidate>,
    scratch: Scratch,
}

/// Memory that is kept from row to row.
#[derive(Clone, Debug, Default)]
struct Scratch {
    top: Top,
    entries: Vec<Entry>,
    histogram: Histogram,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Filter {
    TopH(f64),
    TopK(usize),
    TopP(f64),
    MinP(f32),
    TypicalP(f32),
    Epsilon(f32),
    Eta(f32),
}

impl Warpers {
    /// Those that `config` asks for; without `do_sample` they leave the distribution as it is.
    pub fn new(config: &GenerationConfig) -> Self {
        let mut filters = Vec::new();
        let mut add = |acts: bool, filter: Filter| {
            if config.do_sample && acts {
                filters.push(filter);
            }
        };
        // With beams something must be left that does not end.
        let least = if config.num_beams > 1 { config.eos_token_id.len().max(1) + 1 } else { 1 };
        add(config.top_h.is_some(), Filter::TopH(config.top_h.unwrap_or(1.0)));
        add(config.top_k > 0, Filter::TopK(config.top_k.max(least)));
        add(config.top_p < 1.0, Filter::TopP(config.top_p));
        add(config.min_p.is_some(), Filter::MinP(narrow(config.min_p.unwrap_or(0.0))));
        add(config.typical_p < 1.0, Filter::TypicalP(narrow(config.typical_p)));
        add(config.epsilon_cutoff > 0.0, Filter::Epsilon(narrow(config.epsilon_cutoff)));
        add(config.eta_cutoff > 0.0, Filter::Eta(narrow(config.eta_cutoff)));
        let temperature = if config.do_sample { narrow(config.temperature) } else { 1.0 };
        let renormalize = config.renormalize_logits;
        let (left, candidates, scratch) = (Left::default(), Vec::new(), Scratch::default());
        Self { temperature, filters, renormalize, least, left, candidates, scratch }
    }

    /// The tokens that may be drawn, by id, with scores and probabilities. A row of scores is one of [`Processors`]'.
    ///
    /// # Errors
    /// Where no token is left, or a score is no number.
    ///
    /// [`Processors`]: crate::Processors
    pub fn distribution(&mut self, scores: &[f32]) -> Result<&[Candidate], Error> {
        highest_number(scores)?;
        let (left, scratch) = (&mut self.left, &mut self.scratch);
        // Top-k in first place can pass over most scores at once.
        let filters = if let [Filter::TopK(kept), rest @ ..] = self.filters.as_slice() {
            left.fill_top(scores, self.temperature, *kept, &mut scratch.top);
            rest
        } else {
            left.fill(scores, self.temperature);
            &self.filters
        };
        Self::list(filters, left, scratch, self.least, self.renormalize, &mut self.candidates)
            .ok_or(Error::NothingLeft { vocabulary: scores.len() })
    }

    /// The same, to the last bit, of the greatest scores alone, where they are as many as [`Needs`] asks for.
    ///
    /// # Errors
    /// Where there are none.
    ///
    /// [`Needs`]: crate::Needs
    pub fn distribution_of(&mut self, shortlist: Shortlist<'_>) -> Result<&[Candidate], Error> {
        let (left, scratch) = (&mut self.left, &mut self.scratch);
        let filters = if let [Filter::TopK(kept), rest @ ..] = self.filters.as_slice() {
            let last = shortlist.scores.get(kept - 1).or(shortlist.scores.last());
            left.fill_listed(shortlist, self.temperature, last.copied().unwrap_or(f32::NEG_INFINITY), scratch);
            rest
        } else {
            left.fill_listed(shortlist, self.temperature, f32::NEG_INFINITY, scratch);
            &self.filters
        };
        Self::list(filters, left, scratch, self.least, self.renormalize, &mut self.candidates)
            .ok_or(Error::NothingLeft { vocabulary: shortlist.tokens.len() })
    }

    /// What filters leave; `None` where there is nothing from the start.
    fn list<'a>(
        filters: &[Filter],
        left: &mut Left,
        scratch: &mut Scratch,
        least: usize,
        renormalize: bool,
        candidates: &'a mut Vec<Candidate>,
    ) -> Option<&'a [Candidate]> {
        if left.len() == 0 {
            return None;
        }
        for filter in filters {
            filter.apply(left, least, scratch);
        }
        left.list(renormalize, candidates);
        Some(candidates)
    }

    /// How many of the greatest scores, and all that tie with the last of them, are all that is looked at; `None` where
    /// there is no such number.
    pub(crate) fn looks_at(&self) -> Option<usize> {
        // Beyond these bounds scores that differ much may be equal once they are divided.
        if !(1e-6..=1e6).contains(&self.temperature) {
            return None;
        }
        match self.filters.first()? {
            Filter::TopK(kept) => Some(*kept),
            Filter::TopH(_) => Some(entropy::TOP_H_TOKENS),
            _ => None,
        }
    }

    /// Does the same in place, as a search with beams needs it: what is not kept becomes `-inf`. Of a row that leaves
    /// nothing all does, since other beams may go on.
    ///
    /// # Errors
    /// Where a score is no number.
    pub fn apply(&mut self, scores: &mut [f32]) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        match self.distribution(scores) {
            Ok(_) => {}
            Err(Error::NothingLeft { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        scores.fill(f32::NEG_INFINITY);
        for candidate in &self.candidates {
            scores[index(candidate.id)] = candidate.score;
        }
        Ok(())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty() && !self.renormalize && self.temperature.to_bits() == 1.0_f32.to_bits()
    }
}

impl Filter {
    /// Keeps a part of what is left.
    fn apply(self, left: &mut Left, least: usize, scratch: &mut Scratch) {
        match self {
            Self::TopH(share) => entropy::top_h(left, share, &mut scratch.top),
            Self::TopK(kept) => cutoff::top_k(left, kept, &mut scratch.top),
            Self::TopP(mass) => nucleus::top_p(left, mass, least, scratch),
            Self::MinP(share) => cutoff::min_p(left, share, least, &mut scratch.top),
            Self::TypicalP(mass) => entropy::typical_p(left, mass, least, scratch),
            Self::Epsilon(epsilon) => cutoff::epsilon(left, epsilon, least, &mut scratch.top),
            Self::Eta(epsilon) => cutoff::eta(left, epsilon, least, &mut scratch.top),
        }
    }
}
