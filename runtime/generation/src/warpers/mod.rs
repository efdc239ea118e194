//! What sampling leaves of a distribution, in the order of transformers: temperature, top-h, top-k, top-p, min-p,
//! typical-p, epsilon, eta, and then renormalization.
//!
//! Each keeps a part of the candidates that the one before has left. They are held as a list of candidates, which is as
//! short as `top_k` from the start in most requests, and no more than one pass over the vocabulary looks at all scores.

mod cutoff;
mod entropy;
mod nucleus;

use crate::argmax::no_nan;
use crate::logprobs::log_sum_exp;
use crate::numbers::{index, narrow, token};
use crate::top::{Entry, Top};
use crate::{Error, GenerationConfig};

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
    candidates: Vec<Candidate>,
    scratch: Scratch,
}

/// Memory that is kept from row to row.
#[derive(Clone, Debug, Default)]
struct Scratch {
    top: Top,
    entries: Vec<Entry>,
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
        Self { temperature, filters, renormalize, least, candidates: Vec::new(), scratch: Scratch::default() }
    }

    /// The tokens that may be drawn, by id, with scores and probabilities. A row of scores is one of [`Processors`]'.
    ///
    /// # Errors
    /// Where no token is left, or a score is no number.
    ///
    /// [`Processors`]: crate::Processors
    pub fn distribution(&mut self, scores: &[f32]) -> Result<&[Candidate], Error> {
        let (mut filters, vocabulary) = (self.filters.as_slice(), scores.len());
        no_nan(scores)?;
        self.candidates.clear();
        // Top-k in first place can pass over most scores at once.
        let floor = match filters {
            [Filter::TopK(kept), rest @ ..] => {
                filters = rest;
                self.scratch.top.threshold(scores.iter().copied(), *kept).map(|score| score / self.temperature)
            }
            _ => None,
        };
        let floor = floor.unwrap_or(f32::NEG_INFINITY);
        for (place, score) in scores.iter().enumerate() {
            let score = score / self.temperature;
            if score >= floor && score > f32::NEG_INFINITY {
                self.candidates.push(Candidate { id: token(place), score, prob: 0.0 });
            }
        }
        if self.candidates.is_empty() {
            return Err(Error::NothingLeft { vocabulary });
        }
        for filter in filters {
            filter.apply(&mut self.candidates, self.least, &mut self.scratch);
        }
        softmax(&mut self.candidates);
        if self.renormalize {
            let total = log_sum_exp(self.candidates.iter().map(|candidate| candidate.score));
            for candidate in &mut self.candidates {
                candidate.score = narrow(f64::from(candidate.score) - total);
            }
        }
        Ok(&self.candidates)
    }

    /// Does the same in place, as a search with beams needs it: what is not kept becomes `-inf`.
    ///
    /// # Errors
    /// Where no token is left, or a score is no number.
    pub fn apply(&mut self, scores: &mut [f32]) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        self.distribution(scores)?;
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
    /// Keeps a part of `candidates`, in their order.
    fn apply(self, candidates: &mut Vec<Candidate>, least: usize, scratch: &mut Scratch) {
        match self {
            Self::TopK(kept) => cutoff::top_k(candidates, kept, scratch),
            Self::MinP(share) => cutoff::min_p(candidates, share, least, scratch),
            Self::Epsilon(epsilon) => cutoff::epsilon(candidates, epsilon, least, scratch),
            Self::Eta(epsilon) => {
                softmax(candidates);
                let width = narrow(-entropy::entropy(candidates)).exp();
                cutoff::epsilon(candidates, epsilon.min(epsilon.sqrt() * width), least, scratch);
            }
            Self::TopP(mass) => nucleus::top_p(candidates, mass, least, scratch),
            Self::TypicalP(mass) => entropy::typical_p(candidates, mass, least, scratch),
            Self::TopH(share) => entropy::top_h(candidates, share, scratch),
        }
    }
}

/// Sets the probabilities of candidates: `exp(score) / sum(exp(score))`.
fn softmax(candidates: &mut [Candidate]) {
    let highest = candidates.iter().map(|candidate| candidate.score).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for candidate in candidates.iter_mut() {
        // Several infinite scores would be NaN; they share.
        candidate.prob = if candidate.score == highest { 1.0 } else { (candidate.score - highest).exp() };
        sum += f64::from(candidate.prob);
    }
    for candidate in candidates {
        candidate.prob = narrow(f64::from(candidate.prob) / sum);
    }
}
